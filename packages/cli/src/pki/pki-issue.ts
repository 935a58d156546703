import {
  agentConstraintUris,
  type CertificateKind,
  certificateFile,
  certifyKey,
  issueCertificate,
  loadAuthority,
  type PemFile,
  pemPair,
  publicKeyOfRequest,
  type SignedCertificate,
  writePemFiles,
} from '@fairlead/pki';
import {
  defineOptions,
  kinds,
  type OptionsOf,
  option,
  type ParsedOptions,
  readNamedFile,
} from '@fairlead/runtime/options';
import { release, runCommand, UsageError } from '@fairlead/runtime/process';
import type { CommandEntry } from '../command-set.ts';
import { withFlagsNamed } from './pki-failure.ts';
import { days, directory, keyType, names } from './pki-options.ts';

const KINDS: readonly CertificateKind[] = ['agent', 'client', 'server'];

const table = defineOptions({
  program: 'fairlead pki issue',
  summary: 'Make a key, and a certificate for it from a CA of yours',
  positionals: { usage: KINDS.join('|'), min: 1, max: 1 },
  options: {
    ca: option(directory, {
      group: 'Files',
      description: 'Directory of ca.crt and ca.key, such as the agent/ that pki init made',
      required: true,
    }),
    out: option(directory, {
      group: 'Files',
      description: 'Directory to write NAME.crt and NAME.key to',
      defaultText: 'that of --ca',
    }),
    csr: option(kinds.filePath, {
      group: 'Files',
      description:
        'Certificate request (PEM, PKCS#10) of a key that stays where it is: only its key is taken, and only NAME.crt is written',
      defaultText: 'a new key is made',
    }),
    force: option(kinds.boolean, {
      group: 'Files',
      description: 'Replace files that exist, the key included',
      default: false,
    }),
    name: option(kinds.text, {
      group: 'Certificate',
      description: 'Common name (CN), and name of the files',
      required: true,
    }),
    org: option(names('ORG'), {
      group: 'Certificate',
      description: 'Organization (O), which Kubernetes reads as a group; may be repeated',
      default: [],
    }),
    host: option(names('HOST'), {
      group: 'Certificate',
      description: 'DNS name of the server, or host that the agent may claim; may be repeated',
      default: [],
    }),
    ip: option(names('IP'), {
      group: 'Certificate',
      description: 'Address of the server, or one that the agent may claim; may be repeated',
      default: [],
    }),
    days: option(days, {
      group: 'Certificate',
      description: 'Days until the certificate expires; it never outlives its CA',
      default: 365,
    }),
    'key-type': option(keyType, {
      group: 'Certificate',
      description: 'Kind of the key: EC P-256, or RSA for peers that need it',
      default: 'ec',
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
  },
  check({ csr }, { isGiven }) {
    if (csr !== undefined && isGiven('key-type')) {
      throw new UsageError('--key-type: --csr brings a key; leave one of the two out');
    }
  },
});

type IssueFlags = OptionsOf<typeof table>;

async function run({
  options: flags,
  positionals: [kindText],
}: ParsedOptions<typeof table.options>): Promise<void> {
  const kind = readKind(kindText);
  refuseMisplaced(kind, flags);
  refuseUnfitName(flags.name);
  const { issued, paths } = await withFlagsNamed(() => issue(kind, flags));
  process.stdout.write(`Made ${paths.join(' and ')}, until ${issued.notAfter.toISOString()}.\n`);
  if (issued.clampedToAuthority) {
    process.stderr.write(
      `${table.program}: warning: the certificate ends with its CA, before the ${flags.days} days of --days\n`,
    );
  }
}

/** `fairlead pki issue`. */
export const pkiIssue: CommandEntry = {
  summary: table.summary,
  run: (argv) => runCommand({ table, ...release, run }, { argv, env: process.env }),
};

async function issue(kind: CertificateKind, flags: IssueFlags) {
  const { issued, files } = await sign(kind, flags);
  await writePemFiles(files, { force: flags.force });
  return { issued, paths: files.map(({ path }) => path) };
}

async function sign(
  kind: CertificateKind,
  flags: IssueFlags,
): Promise<{ issued: SignedCertificate; files: PemFile[] }> {
  const request = flags.csr === undefined ? undefined : readNamedFile('--csr', flags.csr);
  const authority = await loadAuthority(flags.ca);
  const options = {
    kind,
    name: flags.name,
    organizations: flags.org,
    hosts: flags.host,
    ips: flags.ip,
    uris: agentConstraintUris({ cidrs: flags.cidr, defaultRoute: flags.defaultRoute }),
    days: flags.days,
  };
  const [dir, name] = [flags.out ?? flags.ca, flags.name];
  if (request === undefined) {
    const issued = await issueCertificate(authority, { ...options, keyType: flags.keyType });
    return { issued, files: pemPair(dir, name, issued) };
  }
  const issued = certifyKey(authority, publicKeyOfRequest(request), options);
  return { issued, files: [certificateFile(dir, name, issued.certPem)] };
}

function readKind(text: string | undefined): CertificateKind {
  const kind = KINDS.find((known) => known === text);
  if (kind === undefined) {
    throw new UsageError(`there is no certificate of kind "${text}"; it is ${KINDS.join(', ')}`);
  }
  return kind;
}

/** A constraint that nobody reads would only look as if it did something. */
function refuseMisplaced(kind: CertificateKind, { cidr, defaultRoute }: IssueFlags): void {
  if (kind === 'agent') return;
  if (cidr.length > 0) throw new UsageError(`--cidr: only an agent claims networks, no ${kind}`);
  if (defaultRoute) throw new UsageError(`--default-route: only an agent has it, no ${kind}`);
}

/** The name becomes two file names, beside those of the CA unless --out says otherwise. */
function refuseUnfitName(name: string): void {
  if (/[/\\]/.test(name) || name === '.' || name === '..') {
    throw new UsageError(`--name: "${name}" cannot name a file; leave out / and \\`);
  }
  if (name.toLowerCase() === 'ca') {
    throw new UsageError(`--name: "${name}" is the name of the CA's own files; choose another`);
  }
}
