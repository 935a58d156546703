import type { SecureContextOptions } from 'node:tls';
import { loadTlsFiles, type NamedFile } from '@fairlead/runtime';
import { readTicketKeys } from './agent-port/ticket-keys.ts';
import type { ServerOptions } from './options.ts';

export interface ServerTls {
  /** For the front end over TCP; undefined when it has no certificate. */
  readonly frontEnd: SecureContextOptions | undefined;
  readonly agents: SecureContextOptions;
  /** One line each. */
  readonly warnings: readonly string[];
}

/**
 * Reads the TLS files of both ports.
 * @throws UsageError that names flag, file and cure
 */
export function loadServerTls(options: ServerOptions): ServerTls {
  const common = { cipherSuites: options.cipherSuites, minVersion: options.tlsMinVersion };
  const agents = loadTlsFiles({
    ...common,
    identity: identity('cluster', options.clusterCert, options.clusterKey),
    ca: named('--cluster-ca-cert', options.clusterCaCert),
  });
  const ticketKeys = named('--tls-ticket-key-file', options.tlsTicketKeyFile);
  const agentContext: SecureContextOptions = {
    ...agents.context,
    ...(ticketKeys && readTicketKeys(ticketKeys, agents.context.ca)),
  };
  const frontEndIdentity = identity('server', options.serverCert, options.serverKey);
  if (!frontEndIdentity) {
    return { frontEnd: undefined, agents: agentContext, warnings: agents.warnings };
  }
  const frontEnd = loadTlsFiles({
    ...common,
    identity: frontEndIdentity,
    ca: named('--server-ca-cert', options.serverCaCert),
  });
  return {
    frontEnd: frontEnd.context,
    agents: agentContext,
    warnings: [...frontEnd.warnings, ...agents.warnings],
  };
}

function identity(
  name: 'server' | 'cluster',
  cert: string | undefined,
  key: string | undefined,
): { cert: NamedFile; key: NamedFile } | undefined {
  if (cert === undefined || key === undefined) return undefined;
  return {
    cert: { flag: `--${name}-cert`, path: cert },
    key: { flag: `--${name}-key`, path: key },
  };
}

function named(flag: string, path: string | undefined): NamedFile | undefined {
  return path === undefined ? undefined : { flag, path };
}
