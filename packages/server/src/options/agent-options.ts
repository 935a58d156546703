import { kinds, optionsIn } from '@fairlead/runtime/options';
import { UsageError } from '@fairlead/runtime/process';
import { defaultSuitesText } from '@fairlead/runtime/tls';
import type { ServerOptions } from '../options.ts';

const option = optionsIn('Agents');

export const agentOptions = {
  'cluster-cert': option(kinds.filePath, {
    description: 'Certificate (PEM) that the server shows to agents',
  }),
  'cluster-key': option(kinds.filePath, { description: 'Private key (PEM) of --cluster-cert' }),
  'cluster-ca-cert': option(kinds.filePath, {
    description:
      'CA certificates (PEM) that sign the certificates of agents; optional if agents show tokens',
  }),
  'agent-port': option(kinds.listenPort, {
    description: 'Port for agents with any transport; 0 lets the system pick one',
    default: 8091,
  }),
  'agent-bind-address': option(kinds.host, {
    description: 'Address on which --agent-port listens',
    defaultText: 'all',
  }),
  'agent-authorization': option(kinds.oneOf('off', 'audit', 'enforce'), {
    description:
      'Whether an agent can claim only what its certificate or token covers: audit logs and counts uncovered claims, enforce refuses them',
    default: 'audit',
  }),
  'tls-ticket-key-file': option(kinds.filePath, {
    description:
      'Secret of at least 32 bytes, the same on all servers, so that agents resume TLS sessions on any of them; reloaded when it changes',
    defaultText: 'a random secret per process',
  }),
  'agent-denylist': option(kinds.filePath, {
    description:
      'File of agents to refuse although their certificate or token is valid: lines serial:HEX, sha256:HEX, cn:NAME, enrollment:ID or node:NAME',
  }),
  'agent-namespace': option(kinds.text, {
    description:
      'Namespace of the service account whose tokens agents must show; requires --agent-service-account and --authentication-audience',
  }),
  'agent-service-account': option(kinds.text, { description: 'Name of that service account' }),
  'authentication-audience': option(kinds.text, {
    description: 'Audience that the tokens must be for',
  }),
};

const tlsOption = optionsIn('TLS');

/** Of all TLS listeners, also the front end's. */
export const tlsOptions = {
  'cipher-suites': tlsOption(kinds.list(kinds.cipherSuite), {
    description: "Cipher suites for all TLS listeners, by Go's names",
    default: [],
    defaultText: defaultSuitesText,
  }),
  'tls-min-version': tlsOption(kinds.tlsVersion, {
    description: 'Minimum TLS version of all TLS listeners: VersionTLS12 or VersionTLS13',
    default: 'VersionTLS12',
  }),
};

/** @throws UsageError unless agents are authenticated by certificates, tokens or both */
export function checkAuthentication(options: ServerOptions): void {
  const needed = {
    '--agent-namespace': options.agentNamespace,
    '--agent-service-account': options.agentServiceAccount,
    '--authentication-audience': options.authenticationAudience,
  };
  const flags = Object.keys(needed) as (keyof typeof needed)[];
  const missing = flags.filter((flag) => needed[flag] === undefined);
  if (missing.length === 0) return;
  if (missing.length < flags.length) {
    throw new UsageError(
      `${missing.join(', ')} missing: token authentication needs all of ${flags.join(', ')}`,
    );
  }
  if (!options.clusterCaCert) {
    throw new UsageError(
      '--cluster-ca-cert is missing: without it anyone could join as an agent; give the CA that signs agent certificates, or use token authentication (--agent-namespace)',
    );
  }
}
