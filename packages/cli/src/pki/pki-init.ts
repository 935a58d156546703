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
  shellWord,
  warnIfClamped,
} from './pki-options.ts';

const table = defineOptions({
  program: 'fairlead pki init',
  summary: 'Make two CAs, and the first certificates of a server, an agent and a client',
  examples: [
    'fairlead pki init --out pki',
    'fairlead pki init --out pki --host proxy.example.com --ip 192.0.2.1',
  ],
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
  process.stdout.write(report(out, hosts[0] ?? ips[0] ?? 'localhost', pki));
  warnIfClamped(table.program, pki.agent.agent, days);
});

/** Commands to paste: every file, with the flag that takes it. */
function report(dir: string, host: string, pki: InitialPki): string {
  const frontend = (file: string): string => shellWord(join(dir, 'frontend', file));
  const agent = (file: string): string => shellWord(join(dir, 'agent', file));
  return `Made ${join(dir, 'frontend')} and ${join(dir, 'agent')}: certificates until ${dayOf(pki.agent.agent.notAfter)}, CAs until ${dayOf(pki.agent.ca.validity.notAfter)}.

fairlead-server \\
  --server-cert ${frontend('server.crt')} --server-key ${frontend('server.key')} \\
  --server-ca-cert ${frontend('ca.crt')} \\
  --cluster-cert ${agent('server.crt')} --cluster-key ${agent('server.key')} \\
  --cluster-ca-cert ${agent('ca.crt')}

fairlead-agent \\
  --proxy-server-host ${host} --proxy-server-port 8091 \\
  --ca-cert ${agent('ca.crt')} \\
  --agent-cert ${agent('agent.crt')} --agent-key ${agent('agent.key')}

curl \\
  --proxy https://localhost:8090 \\
  --proxy-cacert ${frontend('ca.crt')} \\
  --proxy-cert ${frontend('client.crt')} --proxy-key ${frontend('client.key')} \\
  http://localhost:8080/

Replace localhost:8080 by a target that the agent can reach. The servers and agents do not need ca.key: keep both ca.key files where only you can read them.
`;
}
