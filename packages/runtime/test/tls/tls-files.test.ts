import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { createAuthority, issueCertificate } from '@fairlead/pki';
import { UsageError } from '@fairlead/runtime/process';
import { loadTlsFiles, type TlsFiles, UntimelyFilesError } from '@fairlead/runtime/tls';
import t, { type Test } from 'tap';

const dayMs = 86_400_000;
const longAgo = new Date(Date.now() - 100 * dayMs);

const ca = await createAuthority({ name: 'a CA', now: longAgo });
const server = { kind: 'server', name: 'a server', hosts: ['localhost'] } as const;
const oldCa = await createAuthority({ name: 'an old CA', now: longAgo, days: 10 });
const good = await issueCertificate(ca, server);
const client = await issueCertificate(ca, { kind: 'client', name: 'a client' });
const other = await issueCertificate(ca, server);
const expired = await issueCertificate(ca, { ...server, name: 'old', now: longAgo, days: 10 });

const chain = `${good.certPem}${other.certPem}`;
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const passphraseKey = privateKey.export({
  type: 'pkcs8',
  format: 'pem',
  cipher: 'aes-256-cbc',
  passphrase: 'x',
});

const files = {
  'ca.crt': ca.certPem,
  'ca.key': ca.keyPem,
  'old-ca.crt': oldCa.certPem,
  'mixed.crt': `${oldCa.certPem}${ca.certPem}`,
  'good.crt': good.certPem,
  'good.key': good.keyPem,
  'client.crt': client.certPem,
  'client.key': client.keyPem,
  'other.key': other.keyPem,
  'old.crt': expired.certPem,
  'old.key': expired.keyPem,
  'locked.key': passphraseKey,
  'empty.crt': '',
  'text.crt': 'not a certificate',
  'damaged.crt': good.certPem.replace(/\n.{20}/, '\nAAAAAAAAAAAAAAAAAAAA'),
  'cut.crt': good.certPem.slice(0, 200),
  'cut-chain.crt': chain.slice(0, -60),
  'damaged.key': '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n',
  directory: {},
};

const common = { cipherSuites: [], minVersion: 'VersionTLS12' } as const;

/** Loads files of the fixture by name. */
function load(t: Test, names: { cert?: string; key?: string; ca?: string }): TlsFiles {
  const dir = t.testdir(files);
  const at = (flag: string, name: string) => ({ flag, path: join(dir, name) });
  return loadTlsFiles({
    ...common,
    identity: names.cert
      ? { cert: at('--server-cert', names.cert), key: at('--server-key', names.key ?? 'good.key') }
      : undefined,
    ca: names.ca ? at('--server-ca-cert', names.ca) : undefined,
  });
}

t.test('valid files make a working TLS context', async (t) => {
  const { context, warnings } = load(t, { cert: 'good.crt', key: 'good.key', ca: 'ca.crt' });
  t.strictSame(warnings, []);
  const listener = createServer({ ...context, requestCert: true });
  t.teardown(() => listener.close());
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const accepted = once(listener, 'secureConnection') as Promise<[TLSSocket]>;
  const client = connect({
    ...load(t, { cert: 'client.crt', key: 'client.key', ca: 'ca.crt' }).context,
    port: (listener.address() as AddressInfo).port,
    host: '127.0.0.1',
    servername: 'localhost',
  });
  t.teardown(() => client.destroy());
  await once(client, 'secureConnect');
  t.ok(client.authorized, 'the client verified the server with the CA file');
  const [socket] = await accepted;
  t.equal(socket.getPeerCertificate().subject.CN, 'a client', 'the client sent its certificate');
});

t.test('the error for an invalid file has flag, file and cure', async (t) => {
  const dir = t.testdir(files);
  const invalid: readonly [Parameters<typeof load>[1], string][] = [
    [
      { cert: 'none.crt' },
      '--server-cert: DIR/none.crt: file not found. Check the path and that the volume is mounted',
    ],
    [{ cert: 'directory' }, '--server-cert: DIR/directory: is a directory. Name a file in it'],
    [
      { cert: 'good.crt/x' },
      '--server-cert: DIR/good.crt/x: file not found. A part of the path is not a directory',
    ],
    [
      { cert: 'empty.crt' },
      '--server-cert: DIR/empty.crt: the file is empty. It must contain a certificate in PEM',
    ],
    [
      { cert: 'text.crt' },
      '--server-cert: DIR/text.crt: is not PEM. A certificate in PEM starts with -----BEGIN CERTIFICATE-----',
    ],
    [
      { cert: 'damaged.crt' },
      '--server-cert: DIR/damaged.crt: certificate 1 of 1 is damaged. Copy the file again',
    ],
    [
      { cert: 'good.key' },
      '--server-cert: DIR/good.key: contains a private key and no certificate. Check that two files are not swapped',
    ],
    [
      { ca: 'good.crt' },
      "--server-ca-cert: DIR/good.crt: contains no CA, only CN=a server. Use the certificate of the CA that signed the peers' certificates",
    ],
    [
      { cert: 'good.crt', key: 'good.crt' },
      '--server-key: DIR/good.crt: contains a certificate and no private key. Check that two files are not swapped',
    ],
    [
      { cert: 'good.crt', key: 'text.crt' },
      '--server-key: DIR/text.crt: is not PEM. A private key in PEM starts with -----BEGIN PRIVATE KEY-----',
    ],
    [
      { cert: 'good.crt', key: 'damaged.key' },
      '--server-key: DIR/damaged.key: the private key is damaged. Copy the file again',
    ],
    [
      { cert: 'good.crt', key: 'locked.key' },
      '--server-key: DIR/locked.key: the key has a passphrase. Remove it: openssl pkey -in FILE -out NEW',
    ],
    [
      { cert: 'good.crt', key: 'other.key' },
      '--server-key: DIR/other.key: does not match the certificate in --server-cert DIR/good.crt. Use the key of that certificate',
    ],
    [
      { cert: 'cut.crt' },
      '--server-cert: DIR/cut.crt: the certificate is cut off: the line -----END CERTIFICATE----- is missing. Copy the file again',
    ],
    [
      { ca: 'cut-chain.crt' },
      '--server-ca-cert: DIR/cut-chain.crt: a certificate of 2 is cut off: the line -----END CERTIFICATE----- is missing. Copy the file again',
    ],
    [
      { ca: 'good.key' },
      '--server-ca-cert: DIR/good.key: contains a private key and no certificate. Check that two files are not swapped',
    ],
    [
      { ca: 'empty.crt' },
      '--server-ca-cert: DIR/empty.crt: the file is empty. It must contain a certificate in PEM',
    ],
  ];
  for (const [names, expected] of invalid) {
    const message = expected.replaceAll('DIR', dir);
    try {
      load(t, names);
      t.fail(message);
    } catch (error) {
      t.ok(error instanceof UsageError);
      t.equal((error as Error).message, message);
    }
  }
});

t.test(
  'the error for an unreadable file has flag, file and cure',
  { skip: process.getuid?.() === 0 && 'root reads all' },
  async (t) => {
    const { chmod } = await import('node:fs/promises');
    const path = join(t.testdir(files), 'good.key');
    await chmod(path, 0);
    t.throws(() => loadTlsFiles({ ...common, ca: { flag: '--ca-cert', path } }), {
      message: `--ca-cert: ${path}: permission denied; let the user of this process read it`,
    });
  },
);

t.test('an expired or future certificate causes a warning with the date', async (t) => {
  const { context, warnings } = load(t, { cert: 'old.crt', key: 'old.key' });
  t.equal(warnings.length, 1);
  t.match(
    warnings[0],
    /^--server-cert: .*old\.crt: CN=old expired at \d{4}-\d\d-\d\dT.*Z, and the clock of this machine says \d{4}-.*Z\. Issue a new one, or correct/,
  );
  t.ok(context.cert, 'it is used nevertheless');

  const dir = t.testdir(files);
  const early = loadTlsFiles(
    { ...common, ca: { flag: '--ca-cert', path: join(dir, 'ca.crt') } },
    new Date(longAgo.getTime() - dayMs),
  );
  t.match(early.warnings, [
    /^--ca-cert: .*ca\.crt: CN=a CA is not valid before .*Z, and the clock of this machine says \d{4}-.*Z\. /,
  ]);
});

t.test('the extended key usage must allow the purpose', async (t) => {
  const dir = t.testdir(files);
  const at = (flag: string, name: string) => ({ flag, path: join(dir, name) });
  const loading = (name: string, purpose: 'server' | 'client') => () =>
    loadTlsFiles({
      ...common,
      identity: { cert: at('--x-cert', `${name}.crt`), key: at('--x-key', `${name}.key`), purpose },
    });
  t.throws(loading('client', 'server'), {
    message: `--x-cert: ${join(dir, 'client.crt')}: the certificate is for clientAuth and not for serverAuth (extended key usage), so peers refuse it. Use one that was issued for a server`,
  });
  t.throws(loading('good', 'client'), {
    message: `--x-cert: ${join(dir, 'good.crt')}: the certificate is for serverAuth and not for clientAuth (extended key usage), so peers refuse it. Use one that was issued for a client`,
  });
  t.doesNotThrow(loading('good', 'server'));
  t.doesNotThrow(loading('client', 'client'));
  t.doesNotThrow(loading('ca', 'client'), 'without the extension, every purpose is allowed');
});

t.test('expired or future certificates replace only expired or future ones', async (t) => {
  const dir = t.testdir(files);
  const at = (flag: string, name: string) => ({ flag, path: join(dir, name) });
  const now = new Date();
  const read = (names: { cert: string; ca: string }, inUse?: TlsFiles, when = now) =>
    loadTlsFiles(
      {
        ...common,
        identity: {
          cert: at('--x-cert', `${names.cert}.crt`),
          key: at('--x-key', `${names.cert}.key`),
        },
        ca: at('--x-ca-cert', names.ca),
        inUse,
      },
      when,
    );
  const inUse = read({ cert: 'good', ca: 'ca.crt' });
  t.throws(() => read({ cert: 'old', ca: 'ca.crt' }, inUse), {
    constructor: UntimelyFilesError,
    message:
      /^--x-cert: .*old\.crt: CN=old expired at .*, while the certificate in use is still valid\. /,
  });
  t.throws(() => read({ cert: 'good', ca: 'old-ca.crt' }, inUse), {
    message:
      /^--x-ca-cert: .*old-ca\.crt: CN=an old CA expired at .*, while the certificate in use is still valid\. /,
  });
  t.doesNotThrow(() => read({ cert: 'good', ca: 'mixed.crt' }, inUse), 'one valid CA is enough');
  const later = new Date(now.getTime() + 9_000 * dayMs);
  t.doesNotThrow(
    () => read({ cert: 'old', ca: 'old-ca.crt' }, inUse, later),
    'the certificate in use has expired too',
  );
  // On this day, `good` is not valid yet and `old` has not expired.
  const early = new Date(longAgo.getTime() + 5 * dayMs);
  const old = read({ cert: 'old', ca: 'ca.crt' }, undefined, early);
  t.throws(() => read({ cert: 'good', ca: 'ca.crt' }, old, early), {
    message:
      /^--x-cert: .*good\.crt: CN=a server is not valid before .*, while the certificate in use/,
  });
  t.doesNotThrow(() => read({ cert: 'good', ca: 'ca.crt' }, old), 'now it is valid');
});

t.test('the context has the cipher suites and the minimum version', async (t) => {
  const { context } = loadTlsFiles({
    cipherSuites: ['TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256'],
    minVersion: 'VersionTLS13',
  });
  t.match(context, { ciphers: 'ECDHE-RSA-AES128-GCM-SHA256', minVersion: 'TLSv1.3' });
});
