import { X509Certificate } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  certifyKey,
  createAuthority,
  createIssuingAuthority,
  issueCertificate,
  loadAuthority,
  publicKeyOfRequest,
  recertifyKey,
  writeIssuerPki,
} from '@fairlead/pki';
import t from 'tap';
import { makeRsaKeyPem, parseChain, saveAuthority } from '../fixtures.ts';
import { openssl, skipWithoutOpenssl as skip } from '../openssl.ts';

const keyArguments: Record<string, string[]> = {
  'EC P-256': ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  'EC P-384 and SHA-384': ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384', '-sha384'],
  'EC P-521 and SHA-512': ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-521', '-sha512'],
  'RSA 2048': ['-newkey', 'rsa:2048'],
  'RSA 3072 and SHA-512': ['-key', 'RSA 3072', '-sha512'],
};

/** A root and an issuer of each key type. They are shared because RSA keys are slow to create. */
const issuers = new Map(
  await Promise.all(
    (['ec', 'rsa'] as const).map(async (keyType) => {
      const root = await createAuthority({ name: 'Root', keyType });
      const authority = await createIssuingAuthority(root, { name: 'Issuer', keyType });
      return [keyType, { root, authority }] as const;
    }),
  ),
);

/** RSA keys for requests. They are shared because RSA keys are slow to create. */
const rsaKeys: Readonly<Record<string, string>> = {
  'RSA 2048': makeRsaKeyPem(),
  'RSA 3072': issuers.get('rsa')!.root.keyPem,
};

/** Creates a request with openssl. A name in `rsaKeys` is replaced by a file with that key. */
async function request(dir: string, ...args: string[]): Promise<string> {
  const keyFile = join(dir, 'key');
  const rsaKey = args.map((arg) => rsaKeys[arg]).find((key) => key !== undefined);
  if (rsaKey === undefined) args.push('-keyout', keyFile);
  else await writeFile(keyFile, rsaKey);
  const given = args.map((arg) => (arg in rsaKeys ? keyFile : arg));
  return openssl('req', '-new', '-nodes', '-subj', '/CN=me', ...given);
}

for (const [kind, args] of Object.entries(keyArguments)) {
  t.test(`CAs of both key types certify a request of openssl with ${kind}`, { skip }, async (t) => {
    const dir = t.testdir();
    const csr = await request(dir, ...args, '-addext', 'subjectAltName=DNS:greedy.example');
    const publicKey = publicKeyOfRequest(csr);
    for (const { root, authority } of issuers.values()) {
      const { certPem, certificate } = certifyKey(authority, publicKey, {
        kind: 'agent',
        name: 'n',
        hosts: ['h.example'],
      });
      t.ok(certificate.publicKey.equals(publicKey));
      t.equal(certificate.subjectAltName, 'DNS:h.example');
      await writeFile(join(dir, 'root'), root.certPem);
      await writeFile(join(dir, 'leaf'), certPem);
      const files = [
        '-CAfile',
        join(dir, 'root'),
        '-untrusted',
        join(dir, 'leaf'),
        join(dir, 'leaf'),
      ];
      t.match(await openssl('verify', '-x509_strict', '-purpose', 'sslclient', ...files), /: OK/);
      const asServer = openssl('verify', '-purpose', 'sslserver', ...files);
      await t.rejects(asServer, /unsuitable certificate purpose|unsupported certificate purpose/i);
    }
  });
}

t.test('refuses requests with an unsupported key or an invalid signature', { skip }, async (t) => {
  const dir = t.testdir();
  const weak = await request(dir, '-newkey', 'rsa:1024');
  t.throws(() => publicKeyOfRequest(weak), { code: 'bad_request', message: /2048 to 8192 bits/ });
  const odd = await request(dir, '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1');
  t.throws(() => publicKeyOfRequest(odd), { code: 'bad_request' });
  const other = await request(dir, '-newkey', 'ed25519');
  t.throws(() => publicKeyOfRequest(other), { code: 'bad_request' });
  const sha1 = await request(dir, '-key', 'RSA 2048', '-sha1').catch(() => undefined);
  if (sha1) t.throws(() => publicKeyOfRequest(sha1), { code: 'bad_request', message: /SHA-2/ });
  const good = await request(dir, '-key', 'RSA 2048');
  const der = Buffer.from(good.split('\n').slice(1, -2).join(''), 'base64');
  const pemOf = (bytes: Buffer) =>
    `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
  t.ok(publicKeyOfRequest(pemOf(der)));
  // A changed byte makes a request invalid in its structure, its key or its signature.
  for (let at = 0; at < der.length; at += 7) {
    const changed = Buffer.from(der);
    changed[at]! ^= 0x01;
    t.throws(() => publicKeyOfRequest(pemOf(changed)), { code: 'bad_request' }, `byte ${at}`);
  }
  for (const bytes of [
    der.subarray(0, -1),
    Buffer.concat([der, Buffer.from([0])]),
    Buffer.alloc(0),
  ]) {
    t.throws(() => publicKeyOfRequest(pemOf(bytes)), { code: 'bad_request' });
  }
  t.throws(() => publicKeyOfRequest('nothing'), { code: 'bad_request' });
});

t.test('a renewed certificate has the same names as the earlier one', async (t) => {
  const root = await createAuthority({ name: 'Root' });
  const authority = await createIssuingAuthority(root, { name: 'Issuer' });
  const earlier = await issueCertificate(authority, {
    kind: 'agent',
    name: 'Knoten-ä',
    organizations: ['o'],
    hosts: ['h.example'],
    ips: ['2001:db8::1'],
    uris: ['fairlead:cidr=10.0.0.0/8', 'fairlead:enrolment=abc'],
  });
  const { publicKey } = (await issueCertificate(root, { kind: 'client', name: 'k' })).certificate;
  const { certificate } = recertifyKey(authority, publicKey, earlier.certificate, 60_000);
  t.equal(certificate.subject, earlier.certificate.subject);
  t.equal(certificate.subjectAltName, earlier.certificate.subjectAltName);
  t.not(certificate.serialNumber, earlier.certificate.serialNumber);
  t.ok(certificate.publicKey.equals(publicKey));
  t.same(certificate.keyUsage, ['1.3.6.1.5.5.7.3.2']);
  const lifetimeMs = Date.parse(certificate.validTo) - Date.parse(certificate.validFrom);
  t.equal(lifetimeMs, 66_000, 'it begins a tenth of a short lifetime early');
});

t.test('an issuing authority cannot sign another authority', async (t) => {
  const root = await createAuthority({ name: 'Root' });
  const authority = await createIssuingAuthority(root, { name: 'Issuer', days: 5000 });
  t.equal(authority.isSelfSigned, false);
  t.same(authority.validity.notAfter, root.validity.notAfter, 'it expires with its root');
  t.equal(authority.maySignAuthorities, false);
  await t.rejects(createIssuingAuthority(authority, { name: 'Deeper' }), {
    code: 'authority_unusable',
    message: /pathlen:0/,
  });
});

t.test('the chain of a leaf has all intermediates', { skip }, async (t) => {
  const dir = t.testdir();
  const root = await createAuthority({ name: 'Root' });
  // An intermediate of openssl, since Fairlead's authorities always have a path length.
  await writeFile(join(dir, 'root.crt'), root.certPem);
  await writeFile(join(dir, 'root.key'), root.keyPem);
  const middleKey = rsaKeys['RSA 2048']!;
  await writeFile(join(dir, 'middle.key'), middleKey);
  await openssl(
    ...['req', '-x509', '-new', '-nodes', '-subj', '/CN=Middle', '-days', '9'],
    ...['-key', join(dir, 'middle.key'), '-out', join(dir, 'middle.crt')],
    ...['-CA', join(dir, 'root.crt'), '-CAkey', join(dir, 'root.key')],
  );
  const middleCrt = await readFile(join(dir, 'middle.crt'), 'utf8');
  await saveAuthority(join(dir, 'middle'), middleCrt, middleKey);
  const lowest = await createIssuingAuthority(await loadAuthority(join(dir, 'middle')), {
    name: 'Low',
  });
  const bundle = root.certPem + lowest.chainPem;
  await saveAuthority(join(dir, 'low'), bundle, lowest.keyPem);
  const leaf = await issueCertificate(await loadAuthority(join(dir, 'low')), {
    kind: 'agent',
    name: 'n',
  });
  t.same(
    parseChain(leaf.certPem).map(({ subject }) => subject),
    ['CN=n', 'CN=Low', 'CN=Middle'],
  );
});

t.test('writeIssuerPki() writes the files of an issuer', async (t) => {
  const dir = join(t.testdir(), 'issuer');
  const root = await createAuthority({ name: 'Root' });
  await t.rejects(writeIssuerPki(dir, root, { hosts: [], ips: [] }), { code: 'bad_host' });
  await writeIssuerPki(dir, root, { hosts: ['i.example'], ips: [] });
  const server = new X509Certificate(await readFile(join(dir, 'server.crt')));
  t.ok(server.verify(root.certificate.publicKey), 'agents trust only the root');
  await t.rejects(writeIssuerPki(dir, root, { hosts: ['i'], ips: [] }), { code: 'file_exists' });
});
