import { join } from 'node:path';
import { type InitialPki, writeInitialPki } from '@fairlead/pki';
import { defineOptions, option } from '@fairlead/runtime/options';
import { commandEntry } from '../command-set.ts';
import { withFlagsNamed } from './pki-failure.ts';
import {
  dayOf,
  daysOption,
  directory,
  keyOptions,
  namesOption,
  warnIfClamped,
} from './pki-options.ts';

const table = defineOptions({
  program: 'fairlead pki init',
  summary: 'Make two CAs, and the first certificates of a server, an agent and a client',
  options: {
    out: option(directory, {
      group: 'Files',
      description: 'Directory in which frontend/ and agent/ are created',
      required: true,
    }),
    host: namesOption('HOST', 'DNS name of the server, in addition to localhost; can be repeated'),
    ip: namesOption(
      'IP',
      'IP address of the server, in addition to 127.0.0.1 and ::1; can be repeated',
    ),
    days: daysOption('Days until the certificates expire', 365),
    'ca-days': daysOption(
      'Days until the CAs expire, with all certificates that they signed',
      3650,
    ),
    ...keyOptions,
  },
});

export const pkiInit = commandEntry(table, async ({ options }) => {
  const { out, force, host: hosts, ip: ips, keyType, days, caDays } = options;
  const pki = await withFlagsNamed(() =>
    writeInitialPki(out, { force, hosts, ips, keyType, days, caDays }),
  );
  process.stdout.write(report(out, pki));
  warnIfClamped(table.program, pki.agent.agent, days);
});

/** Every file, with the flag that takes it. */
function report(dir: string, pki: InitialPki): string {
  const frontend = (file: string): string => join(dir, 'frontend', file);
  const agent = (file: string): string => join(dir, 'agent', file);
  return `Made ${join(dir, 'frontend')} and ${join(dir, 'agent')}: certificates until ${dayOf(pki.agent.agent.notAfter)}, CAs until ${dayOf(pki.agent.ca.validity.notAfter)}.

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

The servers and agents do not need ca.key: keep both ca.key files where only you can read them.
`;
}
