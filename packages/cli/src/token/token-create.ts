import { caHash, makeToken } from '@fairlead/pki/enrollment';
import {
  type AgentGrant,
  checkTokenPlace,
  recordOf,
  tokenPlaceOptions,
} from '@fairlead/pki/issuer';
import { defineOptions, kinds, option, type ParsedOptions } from '@fairlead/runtime/options';
import { release, runCommand, UsageError } from '@fairlead/runtime/process';
import { readCertificateFile } from '@fairlead/runtime/tls';
import type { CommandEntry } from '../command-set.ts';
import { withFlagsNamed } from '../pki/pki-failure.ts';
import { withTokenStore } from './token-store-use.ts';

/** An empty text is a variable that is not set, and makes a token which is good for nothing. */
const names = (placeholder: string) =>
  kinds.filledList({ ...kinds.text, placeholder }, 'names none; leave it out or name one');

const dayMs = 86_400_000;

const table = defineOptions({
  program: 'fairlead token create',
  summary: 'Make a token by which one agent joins once, and print it with the hash of the CA',
  options: {
    ...tokenPlaceOptions,
    'ca-cert': option(kinds.filePath, {
      group: 'Output',
      description: 'CA certificates (PEM) of the issuer, whose hash the agent needs',
      required: true,
    }),
    json: option(kinds.boolean, {
      group: 'Output',
      description: 'Print JSON, for programs',
      default: false,
    }),
    'agent-id': option(kinds.text, {
      group: 'Agent',
      description: 'Name of the agent: the common name (CN) of its certificates',
      required: true,
    }),
    host: option(names('HOST'), {
      group: 'Agent',
      description: 'Host that the agent may claim; may be repeated',
      default: [],
    }),
    ip: option(names('IP'), {
      group: 'Agent',
      description: 'Address that the agent may claim; may be repeated',
      default: [],
    }),
    cidr: option(names('CIDR'), {
      group: 'Agent',
      description:
        'Network that the agent may claim, such as 10.1.0.0/16, or with its parts, 10.1.0.0/16-24; may be repeated',
      default: [],
    }),
    'default-route': option(kinds.boolean, {
      group: 'Agent',
      description: 'The agent may claim to be the way to everything that no other agent claims',
      default: false,
    }),
    ttl: option(kinds.duration({ minMs: 1000, maxMs: 30 * dayMs }), {
      group: 'Token',
      description: 'How long the token may be redeemed',
      default: 3_600_000,
    }),
  },
  check: checkTokenPlace,
});

async function run({ options }: ParsedOptions<typeof table.options>): Promise<void> {
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

It is shown this once. On the agent's machine, in a file that only the agent may read:

fairlead-agent --identity-dir DIR --enrollment-server HOST:PORT \\
  --enrollment-ca-hash ${caHashes.join(',')} \\
  --enrollment-token-file FILE
`,
  );
}

/** `fairlead token create`. */
export const tokenCreate: CommandEntry = {
  summary: table.summary,
  run: (argv) => runCommand({ table, ...release, run }, { argv, env: process.env }),
};

/** What no certificate could say is refused now, and not when the agent joins. */
async function refuseUnfit(grant: AgentGrant): Promise<void> {
  if (grant.agentId.trim() === '') throw new UsageError('--agent-id: is empty');
  const wildcard = grant.hosts.find((host) => host.includes('*'));
  if (wildcard !== undefined) {
    throw new UsageError(
      `--host: "${wildcard}" covers nothing that an agent may claim; name each host`,
    );
  }
  // Loaded when asked for: node-forge is of no use to list and revoke.
  const { checkNames } = await import('@fairlead/pki');
  const { uriNamesOf } = await import('@fairlead/pki/issuer');
  await withFlagsNamed(
    async () =>
      checkNames({
        name: grant.agentId,
        hosts: grant.hosts,
        ips: grant.ips,
        uris: uriNamesOf(grant, 'id'),
      }),
    { bad_name: { flag: '--agent-id' } },
  );
}
