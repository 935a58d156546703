import {
  agentConstraintUris,
  type CertificateKind,
  certificateFile,
  certifyKey,
  issueCertificate,
  loadAuthority,
  pemPair,
  publicKeyOfRequest,
  writePemFiles,
} from '@fairlead/pki';
import {
  defineOptions,
  kinds,
  type OptionsOf,
  option,
  readNamedFile,
} from '@fairlead/runtime/options';
import { UsageError } from '@fairlead/runtime/process';
import { commandEntry } from '../command-set.ts';
import { withFlagsNamed } from './pki-failure.ts';
import {
  caOption,
  cidrOption,
  daysOption,
  defaultRouteOption,
  directory,
  keyOptions,
  nameList,
  namesOption,
  warnIfClamped,
} from './pki-options.ts';

const certificateKinds: readonly CertificateKind[] = ['agent', 'client', 'server'];

const table = defineOptions({
  program: 'fairlead pki issue',
  summary: 'Make a key, and a certificate for it from a CA of yours',
  examples: ['fairlead pki issue agent --ca pki/agent --name node-1 --host node-1'],
  positionals: { usage: certificateKinds.join('|'), min: 1, max: 1 },
  options: {
    ca: caOption,
    out: option(directory, {
      group: 'Files',
      description: 'Directory for NAME.crt and NAME.key',
      defaultText: 'that of --ca',
    }),
    csr: option(kinds.filePath, {
      group: 'Files',
      description:
        'Certificate request (PEM, PKCS#10) for an existing key: only its key is used, and only NAME.crt is written',
      defaultText: 'a new key is made',
    }),
    name: option(kinds.text, {
      group: 'Certificates',
      description: 'Common name (CN), and name of the files',
      required: true,
    }),
    org: namesOption('ORG', 'Organization (O), a group for Kubernetes; can be repeated'),
    host: namesOption(
      'HOST',
      'DNS name of the server, or host that the agent can claim; can be repeated',
    ),
    ip: namesOption(
      'IP',
      'IP address of the server, or one that the agent can claim; can be repeated',
    ),
    days: daysOption('Days until the certificate expires; it never outlives its CA', 365),
    ...keyOptions,
    cidr: cidrOption(nameList('CIDR')),
    'default-route': defaultRouteOption,
  },
  check({ csr }, { isGiven }) {
    if (csr !== undefined && isGiven('key-type')) {
      throw new UsageError('--key-type: --csr has a key already; give only one of the two');
    }
  },
});

export const pkiIssue = commandEntry(table, async ({ options: flags, positionals: [kindText] }) => {
  const kind = readKind(kindText);
  refuseMisplaced(kind, flags);
  refuseUnfitName(flags.name);
  const { issued, paths } = await withFlagsNamed(() => issue(kind, flags));
  process.stdout.write(`Made ${paths.join(' and ')}, until ${issued.notAfter.toISOString()}.\n`);
  warnIfClamped(table.program, issued, flags.days);
});

async function issue(kind: CertificateKind, flags: OptionsOf<typeof table>) {
  const { ca, name, csr, keyType, cidr: cidrs, defaultRoute, days, force, out = ca } = flags;
  const request = csr === undefined ? undefined : readNamedFile('--csr', csr);
  const authority = await loadAuthority(ca);
  const options = {
    kind,
    name,
    organizations: flags.org,
    hosts: flags.host,
    ips: flags.ip,
    uris: agentConstraintUris({ cidrs, defaultRoute }),
    days,
  };
  const issued =
    request === undefined
      ? await issueCertificate(authority, { ...options, keyType })
      : { ...certifyKey(authority, publicKeyOfRequest(request), options), keyPem: undefined };
  const { certPem, keyPem } = issued;
  const files =
    keyPem === undefined
      ? [certificateFile(out, name, certPem)]
      : pemPair(out, name, { certPem, keyPem });
  await writePemFiles(files, { force });
  return { issued, paths: files.map(({ path }) => path) };
}

function readKind(text: string | undefined): CertificateKind {
  const kind = certificateKinds.find((known) => known === text);
  if (kind === undefined) {
    throw new UsageError(
      `"${text}" is not a kind of certificate; give one of ${certificateKinds.join(', ')}`,
    );
  }
  return kind;
}

/** Servers check these constraints in agents' certificates only. */
function refuseMisplaced(
  kind: CertificateKind,
  { cidr, defaultRoute }: Pick<OptionsOf<typeof table>, 'cidr' | 'defaultRoute'>,
): void {
  if (kind === 'agent') return;
  if (cidr.length > 0) throw new UsageError(`--cidr: only agents claim networks, not a ${kind}`);
  if (defaultRoute) throw new UsageError(`--default-route: only agents claim it, not a ${kind}`);
}

/** The name is also the name of two files, in the directory of the CA's files unless --out is given. */
function refuseUnfitName(name: string): void {
  if (/[/\\]/.test(name) || name === '.' || name === '..') {
    throw new UsageError(`--name: "${name}" cannot name a file; remove / and \\`);
  }
  if (name.toLowerCase() === 'ca') {
    throw new UsageError(`--name: "${name}" is the name of the CA's own files; choose another`);
  }
}
