import { join } from 'node:path';
import { loadAuthority, writeIssuerPki } from '@fairlead/pki';
import { defineOptions, option } from '@fairlead/runtime/options';
import { commandEntry } from '../command-set.ts';
import { withFlagsNamed } from './pki-failure.ts';
import {
  caOption,
  dayOf,
  daysOption,
  directory,
  keyOptions,
  namesOption,
  shellWord,
} from './pki-options.ts';

const table = defineOptions({
  program: 'fairlead pki issuer',
  summary: 'Make the certificates of fairlead issuer: an intermediate CA, and one for its port',
  examples: ['fairlead pki issuer --ca pki/agent --out pki/issuer'],
  options: {
    ca: caOption,
    out: option(directory, {
      group: 'Files',
      description: 'Directory for ca.crt, issuer.{crt,key} and server.{crt,key}',
      required: true,
    }),
    host: namesOption('HOST', 'DNS name at which agents reach the issuer; can be repeated'),
    ip: namesOption('IP', 'IP address at which agents reach the issuer; can be repeated'),
    days: daysOption("Days until the certificate of the issuer's port expires", 365),
    'ca-days': daysOption(
      'Days until the intermediate CA expires, with all certificates that it signed',
      1825,
    ),
    ...keyOptions,
  },
});

export const pkiIssuer = commandEntry(table, async ({ options }) => {
  const { ca, out, host: hosts, ip: ips, force, keyType, days, caDays } = options;
  const { authority, server } = await withFlagsNamed(async () =>
    writeIssuerPki(out, await loadAuthority(ca), { hosts, ips, keyType, days, caDays, force }),
  );
  const file = (name: string): string => shellWord(join(out, name));
  process.stdout.write(`Made ${out}: an intermediate CA until ${dayOf(authority.validity.notAfter)}, a server certificate until ${dayOf(server.notAfter)}.

fairlead issuer \\
  --server-cert ${file('server.crt')} --server-key ${file('server.key')} \\
  --ca-cert ${file('ca.crt')} \\
  --issuer-cert ${file('issuer.crt')} --issuer-key ${file('issuer.key')} \\
  --token-dir TOKENS

fairlead token create --token-dir TOKENS --ca-cert ${file('ca.crt')} --agent-id NAME

The issuer does not need the key of the CA: keep that key where only you can read it.
`);
});
