import { caHash, makeToken } from '@fairlead/pki/enrollment';
import {
  type AgentGrant,
  checkTokenStoreOptions,
  recordOf,
  tokenStoreOptions,
} from '@fairlead/pki/issuer';
import { defineOptions, kinds, option } from '@fairlead/runtime/options';
import { UsageError } from '@fairlead/runtime/process';
import { readCertificateFile } from '@fairlead/runtime/tls';
import { commandEntry } from '../command-set.ts';
import { withFlagsNamed } from '../pki/pki-failure.ts';
import { cidrOption, defaultRouteOption } from '../pki/pki-options.ts';
import { jsonOption, withTokenStore } from './with-token-store.ts';

/** Refuses an empty text, such as an unset variable: the token would admit an agent that may claim nothing. */
const names = (placeholder: string) =>
  kinds.filledList({ ...kinds.text, placeholder }, 'names none; leave it out or name one');

const dayMs = 86_400_000;

const table = defineOptions({
  program: 'fairlead token create',
  summary: 'Make a token with which one agent joins once, and print it with the hash of the CA',
  examples: [
    'fairlead token create --token-dir tokens --ca-cert ca.crt --agent-id node-1 --host node-1',
  ],
  options: {
    ...tokenStoreOptions,
    'ca-cert': option(kinds.filePath, {
      group: 'Output',
      description: 'CA certificates (PEM) of the issuer, whose hash the agent needs',
      required: true,
    }),
    ...jsonOption,
    'agent-id': option(kinds.text, {
      group: 'Agent',
      description: 'Name of the agent: the common name (CN) of its certificates',
      required: true,
    }),
    host: option(names('HOST'), {
      group: 'Agent',
      description: 'Host that the agent can claim; can be repeated',
      default: [],
    }),
    ip: option(names('IP'), {
      group: 'Agent',
      description: 'IP address that the agent can claim; can be repeated',
      default: [],
    }),
    cidr: cidrOption(names('CIDR')),
    'default-route': defaultRouteOption,
    ttl: option(kinds.duration({ minMs: 1000, maxMs: 30 * dayMs }), {
      group: 'Token',
      description: 'Time until the token expires',
      default: 3_600_000,
    }),
  },
  check: checkTokenStoreOptions,
});

export const tokenCreate = commandEntry(table, async ({ options }) => {
  const { agentId, host: hosts, ip: ips, cidr: cidrs, defaultRoute, ttl, json } = options;
  const grant: AgentGrant = { agentId, hosts, ips, cidrs, defaultRoute };
  await refuseUnfit(grant);
  const { certificates } = readCertificateFile({ flag: '--ca-cert', path: options.caCert });
  const caHashes = [...new Set(certificates.map(caHash))];
  const token = makeToken();
  const record = recordOf(token, grant, ttl);
  await withTokenStore(options, 'make', (store) => store.add(record));
  const { id, expiresAt } = record;
  const answer = { token: token.text, id, expiresAt, caHashes };
  process.stdout.write(
    json
      ? `${JSON.stringify(answer)}\n`
      : `token    ${token.text}
ca-hash  ${caHashes.join(',')}
agent    ${agentId}
expires  ${expiresAt}

The token is shown only once. On the agent's machine, put it into a file that only the agent can read:

fairlead-agent --identity-dir DIR --enrollment-server HOST:PORT \\
  --enrollment-ca-hash ${caHashes.join(',')} \\
  --enrollment-token-file FILE
`,
  );
});

/** Refuses names that no certificate can have now, not only when the agent joins. */
async function refuseUnfit(grant: AgentGrant): Promise<void> {
  const { agentId: name, hosts, ips } = grant;
  if (name.trim() === '') throw new UsageError('--agent-id: is empty');
  const wildcard = hosts.find((host) => host.includes('*'));
  if (wildcard !== undefined) {
    throw new UsageError(
      `--host: "${wildcard}" covers nothing that an agent may claim; name each host`,
    );
  }
  // Loaded on demand: list and revoke do not need node-forge.
  const [{ checkNames }, { uriNamesOf }] = await Promise.all([
    import('@fairlead/pki'),
    import('@fairlead/pki/issuer'),
  ]);
  await withFlagsNamed(
    async () => checkNames({ name, hosts, ips, uris: uriNamesOf(grant, 'id') }),
    { bad_name: '--agent-id' },
  );
}
