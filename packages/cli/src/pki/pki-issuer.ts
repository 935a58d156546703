import { join } from 'node:path';
import { type IssuerPki, loadAuthority, writeIssuerPki } from '@fairlead/pki';
import { defineOptions, kinds, option, type ParsedOptions } from '@fairlead/runtime/options';
import { release, runCommand } from '@fairlead/runtime/process';
import type { CommandEntry } from '../command-set.ts';
import { withFlagsNamed } from './pki-failure.ts';
import { days, directory, keyType, names } from './pki-options.ts';

const table = defineOptions({
  program: 'fairlead pki issuer',
  summary: 'Make the certificates of fairlead issuer: an intermediate CA, and one for its port',
  options: {
    ca: option(directory, {
      group: 'Files',
      description: 'Directory of ca.crt and ca.key, such as the agent/ that pki init made',
      required: true,
    }),
    out: option(directory, {
      group: 'Files',
      description: 'Directory to write ca.crt, issuer.{crt,key} and server.{crt,key} to',
      required: true,
    }),
    force: option(kinds.boolean, {
      group: 'Files',
      description: 'Replace files that exist, the keys included',
      default: false,
    }),
    host: option(names('HOST'), {
      group: 'Certificates',
      description: 'DNS name by which agents reach the issuer; may be repeated',
      default: [],
    }),
    ip: option(names('IP'), {
      group: 'Certificates',
      description: 'Address by which agents reach the issuer; may be repeated',
      default: [],
    }),
    days: option(days, {
      group: 'Certificates',
      description: "Days until the certificate of the issuer's port expires",
      default: 365,
    }),
    'ca-days': option(days, {
      group: 'Certificates',
      description: 'Days until the intermediate CA expires, and all that it signed with it',
      default: 1825,
    }),
    'key-type': option(keyType, {
      group: 'Certificates',
      description: 'Kind of the keys: EC P-256, or RSA for peers that need it',
      default: 'ec',
    }),
  },
});

async function run({ options }: ParsedOptions<typeof table.options>): Promise<void> {
  const { ca, out, host: hosts, ip: ips, force, keyType, days, caDays } = options;
  const pki = await withFlagsNamed(async () =>
    writeIssuerPki(out, await loadAuthority(ca), { hosts, ips, keyType, days, caDays, force }),
  );
  process.stdout.write(report(out, pki));
}

/** `fairlead pki issuer`. */
export const pkiIssuer: CommandEntry = {
  summary: table.summary,
  run: (argv) => runCommand({ table, ...release, run }, { argv, env: process.env }),
};

function report(dir: string, { authority, server }: IssuerPki): string {
  const until = (at: Date): string => at.toISOString().slice(0, 10);
  const file = (name: string): string => join(dir, name);
  return `Made ${dir}: an intermediate CA until ${until(authority.validity.notAfter)}, a server certificate until ${until(server.notAfter)}.

fairlead issuer \\
  --server-cert ${file('server.crt')} --server-key ${file('server.key')} \\
  --ca-cert ${file('ca.crt')} \\
  --issuer-cert ${file('issuer.crt')} --issuer-key ${file('issuer.key')} \\
  --token-dir TOKENS

fairlead token create --token-dir TOKENS --ca-cert ${file('ca.crt')} --agent-id NAME

The issuer needs no key of the CA: keep that where only you can read it.
`;
}
