import { execFileSync, spawnSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { createAuthority, publicKeyOfRequest } from '@fairlead/pki';
import {
  caHash,
  hashOfToken,
  makeCertificateRequest,
  makeToken,
  parseToken,
} from '@fairlead/pki/enrollment';
import t from 'tap';

const skip = spawnSync('openssl', ['version']).status === 0 ? false : 'openssl is not installed';

t.test('a request has only the key, and is signed with it', { skip }, async (t) => {
  // An ECDSA signature has 68 to 72 bytes. The loop covers each length.
  for (let round = 0; round < 20; round++) {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const csr = makeCertificateRequest(privateKey);
    t.ok(publicKeyOfRequest(csr).equals(publicKey));
    if (round > 0) continue;
    const options = { input: csr, encoding: 'utf8', stdio: 'pipe' } as const;
    const text = execFileSync('openssl', ['req', '-verify', '-noout', '-text'], options);
    t.match(text, /Version: 1 \(0x0\)/);
    t.match(text, /Subject: ?\n/);
    t.match(text, /ecdsa-with-SHA256/);
    const pem = execFileSync('openssl', ['req', '-noout', '-pubkey'], options);
    t.ok(createPublicKey(pem).equals(publicKey));
  }
});

t.test('the hash of a CA is the same as that of openssl and kubeadm', { skip }, async (t) => {
  const { certPem } = await createAuthority({ name: 'CA' });
  const spki = execFileSync('openssl', ['x509', '-noout', '-pubkey'], { input: certPem });
  const der = execFileSync('openssl', ['pkey', '-pubin', '-outform', 'der'], { input: spki });
  const digest = execFileSync('openssl', ['dgst', '-sha256', '-r'], {
    input: der,
    encoding: 'utf8',
  });
  t.equal(caHash(new X509Certificate(certPem)), `sha256:${digest.split(' ')[0]}`);
});

t.test('tokens are random and can be parsed', async (t) => {
  const tokens = Array.from({ length: 1000 }, makeToken);
  t.equal(new Set(tokens.map(({ text }) => text)).size, 1000);
  t.equal(new Set(tokens.map(({ id }) => id)).size, 1000);
  for (const token of tokens.slice(0, 10)) {
    const [, secret = ''] = token.text.split('.');
    t.ok(secret.length * 5 >= 128, 'enough bits to resist guessing');
    t.same(parseToken(token.text), token);
    t.match(hashOfToken(token), /^[0-9a-f]{64}$/);
  }
  const { text } = makeToken();
  for (const bad of ['', text.toUpperCase(), `${text}a`, text.slice(1), `${text}\n`, '../../x.y']) {
    t.equal(parseToken(bad), undefined, bad);
  }
});
