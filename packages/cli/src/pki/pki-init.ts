import { join } from 'node:path';
import { type InitialPki, writeInitialPki } from '@fairlead/pki';
import { defineOptions, kinds, option, type ParsedOptions } from '@fairlead/runtime/options';
import { release, runCommand } from '@fairlead/runtime/process';
import type { CommandEntry } from '../command-set.ts';
import { withFlagsNamed } from './pki-failure.ts';
import { days, directory, keyType, names } from './pki-options.ts';

const table = defineOptions({
  program: 'fairlead pki init',
  summary: 'Make two CAs, and the first certificates of a server, an agent and a client',
  options: {
    out: option(directory, {
      group: 'Files',
      description: 'Directory that frontend/ and agent/ are made in',
      required: true,
    }),
    force: option(kinds.boolean, {
      group: 'Files',
      description: 'Replace files that exist, the CAs and their keys included',
      default: false,
    }),
    host: option(names('HOST'), {
      group: 'Certificates',
      description: 'Further DNS name of the server, beside localhost; may be repeated',
      default: [],
    }),
    ip: option(names('IP'), {
      group: 'Certificates',
      description: 'Further IP address of the server, beside 127.0.0.1 and ::1; may be repeated',
      default: [],
    }),
    days: option(days, {
      group: 'Certificates',
      description: 'Days until the certificates expire',
      default: 365,
    }),
    'ca-days': option(days, {
      group: 'Certificates',
      description: 'Days until the CAs expire, and all that they signed with them',
      default: 3650,
    }),
    'key-type': option(keyType, {
      group: 'Certificates',
      description: 'Kind of the keys: EC P-256, or RSA for peers that need it',
      default: 'ec',
    }),
  },
});

async function init({ options }: ParsedOptions<typeof table.options>): Promise<void> {
  const { out, force, host: hosts, ip: ips, keyType, days, caDays } = options;
  const pki = await withFlagsNamed(() =>
    writeInitialPki(out, { force, hosts, ips, keyType, days, caDays }),
  );
  process.stdout.write(report(out, pki));
  if (pki.agent.agent.clampedToAuthority) {
    process.stderr.write(
      `${table.program}: warning: the certificates end with their CAs, before the ${days} days of --days\n`,
    );
  }
}

/** `fairlead pki init`. */
export const pkiInit: CommandEntry = {
  summary: table.summary,
  run: (argv) => runCommand({ table, ...release, run: init }, { argv, env: process.env }),
};

/** Every file on the flag that takes it. */
function report(dir: string, pki: InitialPki): string {
  const frontend = (file: string): string => join(dir, 'frontend', file);
  const agent = (file: string): string => join(dir, 'agent', file);
  const until = (at: Date): string => at.toISOString().slice(0, 10);
  return `Made ${join(dir, 'frontend')} and ${join(dir, 'agent')}: certificates until ${until(pki.agent.agent.notAfter)}, CAs until ${until(pki.agent.ca.validity.notAfter)}.

fairlead-server \\
  --server-cert ${frontend('server.crt')} --server-key ${frontend('server.key')} \\
  --server-ca-cert ${frontend('ca.crt')} \\
  --cluster-cert ${agent('server.crt')} --cluster-key ${agent('server.key')} \\
  --cluster-ca-cert ${agent('ca.crt')}

fairlead-agent \\
  --ca-cert ${agent('ca.crt')} \\
  --agent-cert ${agent('agent.crt')} --agent-key ${agent('agent.key')}

curl \\
  --proxy-cacert ${frontend('ca.crt')} \\
  --proxy-cert ${frontend('client.crt')} --proxy-key ${frontend('client.key')}

The servers and agents need no ca.key: keep both where only you can read them.
`;
}
