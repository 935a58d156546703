import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createAuthority, issueCertificate, loadAuthority } from '@fairlead/pki';
import t from 'tap';
import { isSignedBy, parseChain, saveAuthority } from './fixtures.ts';
import { openssl, skipWithoutOpenssl } from './openssl.ts';

const client = { kind: 'client', name: 'c' } as const;

/** An authority of each key type. They are shared because RSA keys are slow to create. */
const authorities = {
  ec: await createAuthority({ name: 'Test CA', keyType: 'ec' }),
  rsa: await createAuthority({ name: 'Test CA', keyType: 'rsa' }),
};

for (const keyType of ['ec', 'rsa'] as const) {
  t.test(`a saved ${keyType} authority can be loaded`, async (t) => {
    const dir = t.testdir();
    const made = authorities[keyType];
    await saveAuthority(dir, made.certPem, made.keyPem);
    const loaded = await loadAuthority(dir);
    t.equal(loaded.certPem, made.certPem);
    t.equal(loaded.keyPem, made.keyPem);
    t.same(loaded.keyIdentifier, made.keyIdentifier);
    const leaf = await issueCertificate(loaded, client);
    t.ok(isSignedBy(leaf, made));
    t.match(leaf.keyPem, 'BEGIN PRIVATE KEY');
  });
}

/** The openssl commands that create a key, and the label of its PEM block. */
const opensslKeys: Record<string, { make: string[][]; label: string }> = {
  'EC P-256, SEC1 after its parameters': {
    make: [['ecparam', '-name', 'prime256v1', '-genkey', '-out', 'KEY']],
    label: 'EC PRIVATE KEY',
  },
  'EC P-256, PKCS#8': {
    make: [['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', 'KEY']],
    label: 'PRIVATE KEY',
  },
  'EC P-384, PKCS#8': {
    make: [['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384', '-out', 'KEY']],
    label: 'PRIVATE KEY',
  },
  'EC P-521, SEC1': {
    make: [['ecparam', '-name', 'secp521r1', '-genkey', '-noout', '-out', 'KEY']],
    label: 'EC PRIVATE KEY',
  },
  'RSA 2048, PKCS#1': {
    make: [['genrsa', '-traditional', '-out', 'KEY', '2048']],
    label: 'RSA PRIVATE KEY',
  },
  'RSA 2048, PKCS#8': {
    make: [['genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048', '-out', 'KEY']],
    label: 'PRIVATE KEY',
  },
};

const selfSign = (dir: string, ...more: string[]): Promise<string> =>
  openssl(
    ...['req', '-x509', '-new', '-key', join(dir, 'ca.key'), '-out', join(dir, 'ca.crt')],
    ...['-days', '30', '-subj', '/C=DE/O=Ministry of T\u00fcr/CN=openssl CA', '-utf8', ...more],
  );

for (const [title, { make, label }] of Object.entries(opensslKeys)) {
  t.test(`loads an authority of openssl: ${title}`, { skip: skipWithoutOpenssl }, async (t) => {
    const dir = t.testdir();
    const keyFile = join(dir, 'ca.key');
    for (const args of make) await openssl(...args.map((arg) => (arg === 'KEY' ? keyFile : arg)));
    t.match(await readFile(keyFile, 'utf8'), `-----BEGIN ${label}-----`);
    await selfSign(dir);
    const authority = await loadAuthority(dir);
    const leaf = await issueCertificate(authority, { kind: 'server', name: 's', hosts: ['h'] });
    t.ok(isSignedBy(leaf, authority));
    await writeFile(join(dir, 'leaf.crt'), leaf.certPem);
    const verdict = await openssl(
      ...['verify', '-purpose', 'sslserver', '-verify_hostname', 'h'],
      ...['-CAfile', join(dir, 'ca.crt'), join(dir, 'leaf.crt')],
    );
    t.match(verdict, /: OK/);
  });
}

t.test('finds the certificate of the key in a bundle', async (t) => {
  const dir = t.testdir();
  const other = authorities.rsa;
  const expected = await createAuthority({ name: 'Expected' });
  await saveAuthority(dir, `# two CAs\n${other.certPem}${expected.certPem}`, expected.keyPem);
  t.equal((await loadAuthority(dir)).certificate.subject, 'CN=Expected');
});

t.test('the chain of a leaf has its intermediate', { skip: skipWithoutOpenssl }, async (t) => {
  const dir = t.testdir({ root: {}, middle: {} });
  const root = await openssl(
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
    ...['-keyout', join(dir, 'root/ca.key'), '-out', join(dir, 'root/ca.crt')],
    ...['-subj', '/CN=Root', '-days', '30'],
  );
  t.equal(root, '');
  await openssl(
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
    ...['-keyout', join(dir, 'middle/ca.key'), '-out', join(dir, 'middle/ca.crt')],
    ...['-CA', join(dir, 'root/ca.crt'), '-CAkey', join(dir, 'root/ca.key')],
    ...['-subj', '/CN=Middle', '-days', '30', '-addext', 'keyUsage=critical,keyCertSign'],
  );
  const authority = await loadAuthority(join(dir, 'middle'));
  t.equal(authority.isSelfSigned, false);
  const leaf = await issueCertificate(authority, client);
  t.same(
    parseChain(leaf.certPem).map(({ subject }) => subject),
    ['CN=c', 'CN=Middle'],
  );
  await writeFile(join(dir, 'leaf.crt'), leaf.certPem);
  const verdict = await openssl(
    ...['verify', '-purpose', 'sslclient', '-CAfile', join(dir, 'root/ca.crt')],
    ...['-untrusted', join(dir, 'leaf.crt'), join(dir, 'leaf.crt')],
  );
  t.match(verdict, /: OK/);
});

t.test(
  'the issuer name of a leaf has the same bytes for every type of string',
  { skip: skipWithoutOpenssl },
  async (t) => {
    for (const mask of ['utf8only', 'pkix', 'nombstr', 'MASK:0x800']) {
      const dir = t.testdir({
        'openssl.cnf': `[req]\ndistinguished_name = dn\nx509_extensions = ca\nstring_mask = ${mask}\n[dn]\n[ca]\nbasicConstraints = critical, CA:true\nsubjectKeyIdentifier = none\nauthorityKeyIdentifier = none\n`,
      });
      const key = await createAuthority({ name: 'key only' });
      await writeFile(join(dir, 'ca.key'), key.keyPem);
      await selfSign(dir, '-config', join(dir, 'openssl.cnf'));
      const authority = await loadAuthority(dir);
      const leaf = await issueCertificate(authority, client);
      t.ok(isSignedBy(leaf, authority), mask);
      t.same(
        authority.keyIdentifier,
        key.keyIdentifier,
        'it is computed if the certificate has none',
      );
    }
  },
);

const encryptedKey = (type: 'pkcs8' | 'sec1'): string =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' })
    .privateKey.export({ type, format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' })
    .toString();

const refusals: Record<string, { breakFiles: (dir: string) => Promise<unknown>; message: RegExp }> =
  {
    'no certificate file': {
      breakFiles: (dir) => rm(join(dir, 'ca.crt')),
      message: /ca\.crt does not exist$/,
    },
    'no key file': {
      breakFiles: (dir) => rm(join(dir, 'ca.key')),
      message: /ca\.key does not exist$/,
    },
    'no directory': {
      breakFiles: (dir) => rm(dir, { recursive: true }),
      message: /ca\.(crt|key) does not exist$/,
    },
    'an empty certificate file': {
      breakFiles: (dir) => writeFile(join(dir, 'ca.crt'), ''),
      message: /ca\.crt contains no PEM certificate$/,
    },
    'an invalid certificate': {
      breakFiles: (dir) =>
        writeFile(
          join(dir, 'ca.crt'),
          '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
        ),
      message: /ca\.crt contains no PEM certificate$/,
    },
    'an invalid key': {
      breakFiles: (dir) => writeFile(join(dir, 'ca.key'), 'secret'),
      message: /ca\.key contains no PEM private key$/,
    },
    'a public key': {
      breakFiles: async (dir) => {
        const key = createPublicKey(await readFile(join(dir, 'ca.key'), 'utf8'));
        await writeFile(join(dir, 'ca.key'), key.export({ type: 'spki', format: 'pem' }));
      },
      message: /ca\.key contains no PEM private key$/,
    },
    'an encrypted PKCS#8 key': {
      breakFiles: (dir) => writeFile(join(dir, 'ca.key'), encryptedKey('pkcs8')),
      message: /ca\.key is encrypted; decrypt it first$/,
    },
    'an encrypted SEC1 key': {
      breakFiles: (dir) => writeFile(join(dir, 'ca.key'), encryptedKey('sec1')),
      message: /ca\.key is encrypted; decrypt it first$/,
    },
    "another authority's key": {
      breakFiles: async (dir) =>
        writeFile(join(dir, 'ca.key'), (await createAuthority({ name: 'Test CA' })).keyPem),
      message: /ca\.key does not belong to .*ca\.crt$/,
    },
    'a key of another type': {
      breakFiles: (dir) => writeFile(join(dir, 'ca.key'), authorities.rsa.keyPem),
      message: /ca\.key does not belong to .*ca\.crt$/,
    },
    'a leaf': {
      breakFiles: async (dir) => {
        const leaf = await issueCertificate(await loadAuthority(dir), client);
        await saveAuthority(dir, leaf.certPem, leaf.keyPem);
      },
      message: /ca\.crt: the certificate is not a CA certificate$/,
    },
  };
for (const [title, { breakFiles, message }] of Object.entries(refusals)) {
  t.test(`refuses ${title}, and the error names the file`, async (t) => {
    const dir = t.testdir();
    const made = await createAuthority({ name: 'Test CA' });
    await saveAuthority(dir, made.certPem, made.keyPem);
    await loadAuthority(dir);
    await breakFiles(dir);
    await t.rejects(loadAuthority(dir), { code: 'authority_unusable', message });
  });
}

const unsupportedKeys = {
  'a curve that TLS does not use': ['EC', 'ec_paramgen_curve:secp256k1'],
  'a short RSA key': ['RSA', 'rsa_keygen_bits:1024'],
  'an RSA-PSS key': ['RSA-PSS', 'rsa_keygen_bits:2048'],
} as const;
for (const [title, [algorithm, option]] of Object.entries(unsupportedKeys)) {
  t.test(`refuses ${title}`, { skip: skipWithoutOpenssl }, async (t) => {
    const dir = t.testdir();
    const keyFile = join(dir, 'ca.key');
    await openssl('genpkey', '-algorithm', algorithm, '-pkeyopt', option, '-out', keyFile);
    await selfSign(dir);
    const message =
      /ca\.crt: the key must be EC \(P-256, P-384, P-521\) or RSA of at least 2048 bits/;
    await t.rejects(loadAuthority(dir), { code: 'authority_unusable', message });
  });
}

t.test('an error of the file system is not wrapped', async (t) => {
  const dir = t.testdir({ 'ca.crt': {}, 'ca.key': '' });
  await t.rejects(loadAuthority(dir), { code: 'EISDIR' });
});
