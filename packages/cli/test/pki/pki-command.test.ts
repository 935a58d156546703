import { execFileSync, spawnSync } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createAuthority, createInitialPki } from '@fairlead/pki';
import { makeCertificateRequest } from '@fairlead/pki/enrollment';
import { workspaceRoot } from '@fairlead/testkit';
import t from 'tap';
import { runCommand, runFairlead } from '../run-fairlead.ts';

const INIT_FILES = [
  ...['agent/agent.crt', 'agent/agent.key', 'agent/ca.crt', 'agent/ca.key'],
  ...['agent/server.crt', 'agent/server.key'],
  ...['frontend/ca.crt', 'frontend/ca.key', 'frontend/client.crt', 'frontend/client.key'],
  ...['frontend/server.crt', 'frontend/server.key'],
];

const modeOf = async (path: string): Promise<string> =>
  ((await stat(path)).mode & 0o777).toString(8);

const certificateIn = async (...path: string[]): Promise<X509Certificate> =>
  new X509Certificate(await readFile(join(...path)));

const filesUnder = async (dir: string): Promise<string[]> => {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(dir.length + 1))
    .sort();
};

/** Creates a directory with an authority. */
async function authorityIn(t: { testdir(): string }, days = 3650, now = new Date()) {
  const dir = t.testdir();
  const authority = await createAuthority({ name: 'Test CA', days, now });
  await writeFile(join(dir, 'ca.crt'), authority.certPem);
  await writeFile(join(dir, 'ca.key'), authority.keyPem, { mode: 0o600 });
  return { dir, authority };
}

t.test('pki init creates the certificates of both sides, and keys with mode 600', async (t) => {
  const dir = join(t.testdir(), 'deep', 'pki');
  const ended = await runCommand(['pki', 'init', '--out', dir]);
  t.match(ended, { code: 0, stderr: '' });
  t.same(await filesUnder(dir), INIT_FILES);
  for (const file of INIT_FILES) {
    t.equal(await modeOf(join(dir, file)), file.endsWith('.key') ? '600' : '644', file);
  }
  for (const name of ['', 'frontend', 'agent']) t.equal(await modeOf(join(dir, name)), '700');
  t.match(ended.stdout, `--cluster-ca-cert ${join(dir, 'agent/ca.crt')}`);
  t.match(ended.stdout, `--proxy-key ${join(dir, 'frontend/client.key')}`);
  const server = await certificateIn(dir, 'agent/server.crt');
  t.ok(server.verify((await certificateIn(dir, 'agent/ca.crt')).publicKey));
  t.equal(server.subjectAltName?.split(', ')[0], 'DNS:localhost');
});

t.test('pki init prints commands that can be pasted', async (t) => {
  const programs = ['fairlead-server', 'fairlead-agent', 'curl'];
  const root = t.testdir({
    bin: Object.fromEntries(programs.map((name) => [name, '#!/bin/sh\nprintf "%s\\n" "$@"\n'])),
  });
  const bin = join(root, 'bin');
  const { stdout } = await runCommand(['pki', 'init', '--out', join(root, "it's a directory")]);
  for (const name of programs) {
    await chmod(join(bin, name), 0o755);
    const command = new RegExp(`^${name} (?:.*\\\\\\n)*.*$`, 'm').exec(stdout)?.[0] ?? '';
    const args = execFileSync('sh', ['-c', command], {
      encoding: 'utf8',
      env: { PATH: `${bin}:/usr/bin:/bin` },
    }).split('\n');
    const files = args.filter((arg) => /\.(crt|key)$/.test(arg));
    t.ok(files.length >= 3, name);
    for (const file of files) t.ok((await stat(file)).isFile(), file);
    if (name === 'curl') {
      t.match(args, [/.*/], 'it runs');
      t.equal(args[args.indexOf('--proxy') + 1], 'https://localhost:8090');
      t.match(args.at(-2), /^https?:\/\/[^ ]+$/, 'a target');
    }
    if (name === 'fairlead-agent') t.ok(args.includes('--proxy-server-host'), 'the server');
  }
});

t.test('git ignores the directory that the documentation creates', async (t) => {
  const isIgnored = (path: string) =>
    spawnSync('git', ['check-ignore', '-q', path], { cwd: workspaceRoot }).status === 0;
  t.ok(isIgnored('pki/frontend/ca.key'));
  t.notOk(isIgnored('packages/pki/src/new.ts'));
  t.notOk(isIgnored('packages/cli/src/pki/new.ts'));
});

t.test('pki init applies --host, --ip, --days, --ca-days and --key-type', async (t) => {
  const dir = t.testdir();
  const ended = await runCommand([
    ...['pki', 'init', '--out', dir, '--key-type', 'rsa', '--days=3', '--ca-days', '30'],
    ...['--host', 'a.example', '--host=b.example', '--ip', '192.0.2.1', '--ip', '2001:db8::1'],
  ]);
  t.match(ended, { code: 0, stderr: '' });
  const server = await certificateIn(dir, 'frontend/server.crt');
  t.equal(
    server.subjectAltName,
    'DNS:localhost, DNS:a.example, DNS:b.example, IP Address:127.0.0.1, ' +
      'IP Address:0:0:0:0:0:0:0:1, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1',
  );
  t.equal(server.publicKey.asymmetricKeyType, 'rsa');
  const daysLeft = (certificate: X509Certificate): number =>
    Math.round((Date.parse(certificate.validTo) - Date.now()) / 86_400_000);
  t.equal(daysLeft(server), 3);
  t.equal(daysLeft(await certificateIn(dir, 'frontend/ca.crt')), 30);
});

t.test('pki init warns if the CAs expire before --days', async (t) => {
  const ended = await runCommand([
    ...['pki', 'init', '--out', t.testdir(), '--days', '31', '--ca-days', '30'],
  ]);
  t.equal(ended.code, 0);
  t.match(
    ended.stderr,
    /^fairlead pki init: warning: --days: a certificate cannot outlive its CA; .*, before 31 days\n$/,
  );
});

for (const file of INIT_FILES) {
  t.test(`pki init writes nothing if ${file} exists`, async (t) => {
    const [side, name] = file.split('/') as [string, string];
    const dir = t.testdir({ [side]: { [name]: 'existing' } });
    const ended = await runCommand(['pki', 'init', '--out', dir]);
    t.same(ended, {
      code: 2,
      stdout: '',
      stderr: `fairlead pki init: --out: ${join(dir, file)} already exists; --force replaces it\n`,
    });
    t.same(await filesUnder(dir), [file]);
    t.equal(await readFile(join(dir, file), 'utf8'), 'existing');
  });
}

t.test('pki init --force replaces existing files and their modes', async (t) => {
  const dir = t.testdir({ agent: { 'ca.key': 'old' }, frontend: { 'other.txt': 'kept' } });
  await chmod(join(dir, 'agent/ca.key'), 0o644);
  const ended = await runCommand(['pki', 'init', '--out', dir, '--force']);
  t.match(ended, { code: 0, stderr: '' });
  t.same(await filesUnder(dir), [...INIT_FILES, 'frontend/other.txt'].sort());
  t.match(await readFile(join(dir, 'agent/ca.key'), 'utf8'), 'BEGIN PRIVATE KEY');
  t.equal(await modeOf(join(dir, 'agent/ca.key')), '600');
});

t.test('pki issue agent writes the allowed claims into the certificate', async (t) => {
  const { dir, authority } = await authorityIn(t);
  const ended = await runCommand([
    ...['pki', 'issue', 'agent', '--ca', dir, '--name', 'node-1', '--days', '9'],
    ...['--host', 'node-1.example', '--ip', '192.0.2.9', '--cidr', '10.1.0.0/16'],
    ...['--cidr', '2001:DB8::/32', '--default-route', '--org', 'nodes'],
  ]);
  t.match(ended, { code: 0, stderr: '' });
  t.match(ended.stdout, `Made ${join(dir, 'node-1.crt')} and ${join(dir, 'node-1.key')}, until `);
  const certificate = await certificateIn(dir, 'node-1.crt');
  t.ok(certificate.verify(authority.certificate.publicKey));
  t.equal(certificate.subject, 'O=nodes\nCN=node-1');
  t.equal(
    certificate.subjectAltName,
    'DNS:node-1.example, IP Address:192.0.2.9, URI:fairlead:cidr=10.1.0.0/16, ' +
      'URI:fairlead:cidr=2001:db8::/32, URI:fairlead:default-route',
  );
  t.same(certificate.keyUsage, ['1.3.6.1.5.5.7.3.2']);
  t.equal(await modeOf(join(dir, 'node-1.key')), '600');
  t.equal(await modeOf(join(dir, 'node-1.crt')), '644');
});

t.test('pki issue writes to --out, and accepts arguments in any order', async (t) => {
  const { dir } = await authorityIn(t);
  const out = join(dir, 'a', 'b');
  const server = await runCommand([
    ...['pki', 'issue', '--ca', dir, '--out', out, '--name', 's', '--ip', '::1', 'server'],
  ]);
  t.match(server, { code: 0, stderr: '' });
  t.same((await certificateIn(out, 's.crt')).keyUsage, ['1.3.6.1.5.5.7.3.1']);
  const client = await runCommand(
    ['pki', 'issue', 'client', '--ca', '.', '--name', 'system:kube', '--key-type', 'rsa'],
    { cwd: dir },
  );
  t.match(client, { code: 0, stderr: '' });
  t.equal((await certificateIn(dir, 'system:kube.crt')).publicKey.asymmetricKeyType, 'rsa');
});

t.test('pki issue --csr creates a certificate for an existing key', async (t) => {
  const { dir, authority } = await authorityIn(t);
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const csr = join(dir, 'n.csr');
  await writeFile(csr, makeCertificateRequest(privateKey));
  const issue = ['pki', 'issue', 'agent', '--ca', dir, '--name', 'n', '--host', 'n.example'];
  const ended = await runCommand([...issue, '--csr', csr]);
  t.match(ended, { code: 0, stderr: '' });
  t.match(ended.stdout, `Made ${join(dir, 'n.crt')}, until `);
  t.same(await filesUnder(dir), ['ca.crt', 'ca.key', 'n.crt', 'n.csr'], 'no key is written');
  const certificate = await certificateIn(dir, 'n.crt');
  t.ok(certificate.publicKey.equals(publicKey));
  t.ok(certificate.verify(authority.certificate.publicKey));
  t.equal(certificate.subjectAltName, 'DNS:n.example');
  await writeFile(csr, 'nothing');
  t.match(await runCommand([...issue, '--csr', csr, '--force']), {
    code: 2,
    stderr: 'fairlead pki issue: --csr: no CSR in PEM (PKCS#10) was found\n',
  });
  t.match(await runCommand([...issue, '--csr', csr, '--key-type', 'rsa']), {
    code: 2,
    stderr: /--key-type: --csr has a key already/,
  });
});

t.test('pki issuer creates the files of `fairlead issuer`', async (t) => {
  const { dir, authority } = await authorityIn(t);
  const out = join(dir, 'issuer');
  const issuer = ['pki', 'issuer', '--ca', dir, '--out', out];
  t.match(await runCommand(issuer), {
    code: 2,
    stderr: /^fairlead pki issuer: --host: a server certificate needs/,
  });
  const ended = await runCommand([...issuer, '--host', 'i.example', '--key-type', 'rsa']);
  t.match(ended, { code: 0, stderr: '' });
  t.match(ended.stdout, `--issuer-cert ${join(out, 'issuer.crt')}`);
  t.same(await filesUnder(out), ['ca.crt', 'issuer.crt', 'issuer.key', 'server.crt', 'server.key']);
  t.equal(await modeOf(join(out, 'issuer.key')), '600');
  const signer = await certificateIn(out, 'issuer.crt');
  t.ok(signer.ca && signer.verify(authority.certificate.publicKey));
  t.equal(signer.publicKey.asymmetricKeyType, 'rsa');
  t.same(signer.keyUsage, ['1.3.6.1.5.5.7.3.2'], 'it can sign certificates of clients only');
  t.match(await runCommand([...issuer, '--host', 'i.example']), {
    code: 2,
    stderr: /already exists/,
  });
});

t.test('pki issue replaces files only with --force', async (t) => {
  const { dir } = await authorityIn(t);
  await writeFile(join(dir, 'n.key'), 'existing');
  const issue = ['pki', 'issue', 'client', '--ca', dir, '--name', 'n'];
  t.same(await runCommand(issue), {
    code: 2,
    stdout: '',
    stderr: `fairlead pki issue: --out: ${join(dir, 'n.key')} already exists; --force replaces it\n`,
  });
  t.equal(await readFile(join(dir, 'n.key'), 'utf8'), 'existing');
  t.same(await filesUnder(dir), ['ca.crt', 'ca.key', 'n.key']);
  t.match(await runCommand([...issue, '--force']), { code: 0 });
  t.match(await readFile(join(dir, 'n.key'), 'utf8'), 'BEGIN PRIVATE KEY');
});

t.test('pki issue warns if the CA expires before --days', async (t) => {
  const { dir, authority } = await authorityIn(t, 10);
  const ended = await runCommand(['pki', 'issue', 'client', '--ca', dir, '--name', 'n']);
  t.equal(ended.code, 0);
  t.match(
    ended.stderr,
    /^fairlead pki issue: warning: --days: a certificate cannot outlive its CA; .*, before 365 days\n$/,
  );
  t.equal((await certificateIn(dir, 'n.crt')).validTo, authority.certificate.validTo);
});

/** Invalid arguments after `pki`, and the line of the error. DIR has a CA. */
const invalid: [argv: string[], line: RegExp][] = [
  [[], /^a command is missing; the commands are init, issue, issuer$/],
  [
    ['inti'],
    /^there is no command "inti"; the commands are init, issue, issuer; did you mean init\?$/,
  ],
  [['toString'], /there is no command "toString"/],
  [['init'], /--out is missing/],
  [['init', '--out', 'DIR/new', '--days', '0'], /^--days: "0" is not a whole number from 1/],
  [['init', '--out', 'DIR/new', '--ca-days', '-1'], /^--ca-days: "-1" is not a whole number/],
  [['init', '--out', 'DIR/new', '--days', '36501'], /^--days: "36501"/],
  [['init', '--out', 'DIR/new', '--ip', '1.2.3'], /^--ip: "1\.2\.3" is not an IPv4 address/],
  [['init', '--out', 'DIR/new', '--host', 'a b'], /^--host: "a b" is not a DNS name$/],
  [['init', '--out', 'DIR/new', '--host', '::1'], /^--host: "::1" is .* it is an IP address$/],
  [['init', '--out', 'DIR/new', '--key-type', 'dsa'], /^--key-type: "dsa" is none of ec, rsa$/],
  [['init', '--out', 'DIR/new', '--hots', 'a'], /^unknown flag --hots: did you mean --host\?$/],
  [['init', '--out', 'DIR/new', 'extra'], /^unexpected argument "extra"/],
  [['issue', '--ca', 'DIR', '--name', 'n'], /^an argument is missing: .*agent\|client\|server$/],
  [
    ['issue', 'peer', '--ca', 'DIR', '--name', 'n'],
    /^"peer" is not a kind of certificate; give one of agent, client, server$/,
  ],
  [['issue', 'agent', '--name', 'n'], /^--ca is missing/],
  [['issue', 'agent', '--ca', 'DIR'], /^--name is missing/],
  [['issue', 'agent', '--ca', 'DIR/no', '--name', 'n'], /^--ca: .*no\/ca\.\w+ does not exist$/],
  [['issue', 'agent', '--ca', 'DIR', '--name', '../n'], /^--name: "\.\.\/n" cannot name a file/],
  [['issue', 'agent', '--ca', 'DIR', '--name', 'a\\b'], /^--name: "a\\b" cannot name a file/],
  [['issue', 'agent', '--ca', 'DIR', '--name', '..'], /^--name: "\.\." cannot name a file/],
  [['issue', 'agent', '--ca', 'DIR', '--name', 'CA', '--force'], /^--name: "CA" is the name of/],
  [['issue', 'agent', '--ca', 'DIR', '--name', ' '], /^--name: " " is not printable text$/],
  [['issue', 'agent', '--ca', 'DIR', '--name', 'x'.repeat(65)], /^--name: .*longer than 64/],
  [
    ['issue', 'agent', '--ca', 'DIR', '--name', 'n', '--cidr', '10.1.0.1/16'],
    /^--cidr: "10\.1\.0\.1\/16" has bits set after its prefix of 16$/,
  ],
  [
    ['issue', 'agent', '--ca', 'DIR', '--name', 'n', '--cidr', 'net'],
    /^--cidr: "net" is not a network such as 10\.1\.0\.0\/16$/,
  ],
  [
    ['issue', 'client', '--ca', 'DIR', '--name', 'n', '--cidr', '10.0.0.0/8'],
    /^--cidr: only agents claim networks, not a client$/,
  ],
  [
    ['issue', 'server', '--ca', 'DIR', '--name', 'n', '--host', 'h', '--default-route'],
    /^--default-route: only agents claim it, not a server$/,
  ],
  [
    ['issue', 'agent', '--ca', 'DIR', '--name', 'n', '--org', 'x'.repeat(65)],
    /^--org: .* is not printable text of 1 to 64 characters$/,
  ],
  [
    ['issue', 'server', '--ca', 'DIR', '--name', 'n'],
    /^--host: a server certificate needs at least one host or IP$/,
  ],
];
for (const [argv, line] of invalid) {
  t.test(`exits with 2 and one line: fairlead pki ${argv.join(' ')}`, async (t) => {
    const { dir } = await authorityIn(t);
    const ended = await runCommand(['pki', ...argv.map((arg) => arg.replace(/^DIR(?=\/|$)/, dir))]);
    t.equal(ended.code, 2);
    t.equal(ended.stdout, '');
    t.equal(ended.stderr.split('\n').length, 2, 'one line');
    t.match(ended.stderr, /^fairlead pki( init| issue)?: /);
    t.match(ended.stderr.trimEnd().replace(/^fairlead pki( init| issue)?: /, ''), line);
    t.same(await filesUnder(dir), ['ca.crt', 'ca.key'], 'nothing was written');
  });
}

const unusable: Record<string, { breakFiles: (dir: string) => Promise<unknown>; line: RegExp }> = {
  'a key of another CA': {
    breakFiles: async (dir) =>
      writeFile(join(dir, 'ca.key'), (await createAuthority({ name: 'Test CA' })).keyPem),
    line: /^fairlead pki issue: --ca: .*ca\.key does not belong to .*ca\.crt\n$/,
  },
  'an expired CA': {
    breakFiles: async (dir) => {
      const now = new Date(Date.now() - 2 * 86_400_000);
      const expired = await createAuthority({ name: 'Test CA', days: 1, now });
      await writeFile(join(dir, 'ca.crt'), expired.certPem);
      await writeFile(join(dir, 'ca.key'), expired.keyPem);
    },
    line: /^fairlead pki issue: --ca: the CA certificate expired at \d{4}-.*\n$/,
  },
  'a leaf instead of the CA': {
    breakFiles: async (dir) => {
      const { client } = (await createInitialPki()).frontend;
      await writeFile(join(dir, 'ca.crt'), client.certPem);
      await writeFile(join(dir, 'ca.key'), client.keyPem);
    },
    line: /^fairlead pki issue: --ca: .*ca\.crt: the certificate is not a CA certificate\n$/,
  },
  'an invalid certificate': {
    breakFiles: (dir) => writeFile(join(dir, 'ca.crt'), 'garbage'),
    line: /^fairlead pki issue: --ca: .*ca\.crt contains no PEM certificate\n$/,
  },
};
for (const [title, { breakFiles, line }] of Object.entries(unusable)) {
  t.test(`exits with 2 and one line: pki issue with ${title}`, async (t) => {
    const { dir } = await authorityIn(t);
    await breakFiles(dir);
    const ended = await runCommand(['pki', 'issue', 'client', '--ca', dir, '--name', 'n']);
    t.match(ended, { code: 2, stdout: '' });
    t.match(ended.stderr, line);
    t.same(await filesUnder(dir), ['ca.crt', 'ca.key']);
  });
}

t.test('exits with 1 and one line if the file system fails', async (t) => {
  const { dir } = await authorityIn(t);
  const underFile = await runCommand(['pki', 'init', '--out', join(dir, 'ca.crt')]);
  t.match(underFile, { code: 1, stdout: '' });
  t.match(
    underFile.stderr,
    /^fairlead pki init: cannot mkdir .*ca\.crt\/\w+: a file is where a directory should be\n$/,
  );
  await mkdir(join(dir, 'n.key'));
  const issue = ['pki', 'issue', 'client', '--ca', dir, '--name', 'n', '--force'];
  t.same(await runCommand(issue), {
    code: 1,
    stdout: '',
    stderr: `fairlead pki issue: cannot rename ${join(dir, 'n.key')}: a directory is where a file should be\n`,
  });
});

t.test('variables of the environment set flags, and flags have precedence', async (t) => {
  const { dir } = await authorityIn(t);
  const env = { FAIRLEAD_CA: dir, FAIRLEAD_NAME: 'from-env', FAIRLEAD_DAYS: '5' };
  t.match(await runFairlead(['pki', 'issue', 'client'], { env }), { code: 0, stderr: '' });
  t.match(await runCommand(['pki', 'issue', 'client', '--name', 'from-flag'], { env }), {
    code: 0,
  });
  t.same(await filesUnder(dir), [
    ...['ca.crt', 'ca.key', 'from-env.crt', 'from-env.key', 'from-flag.crt', 'from-flag.key'],
  ]);
});
