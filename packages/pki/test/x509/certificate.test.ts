import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import {
  type CertificateKind,
  certifyKey,
  createAuthority,
  issueCertificate,
  type KeyType,
} from '@fairlead/pki';
import t from 'tap';
import { isSignedBy } from '../fixtures.ts';

// Whole extensions in DER: OID, critical where it must be, value (RFC 5280, 4.2.1).
const CA_CONSTRAINTS = '30120603551d130101ff040830060101ff020101';
const LEAF_CONSTRAINTS = '300c0603551d130101ff04023000';
const USAGE_CERT_AND_CRL_SIGN = '300e0603551d0f0101ff040403020106';
const USAGE_SIGNATURE = '300e0603551d0f0101ff040403020780';
const USAGE_SIGNATURE_AND_ENCIPHERMENT = '300e0603551d0f0101ff0404030205a0';
const PURPOSE_SERVER = '30130603551d25040c300a06082b06010505070301';
const PURPOSE_CLIENT = '30130603551d25040c300a06082b06010505070302';

const has = (raw: Buffer, hex: string): boolean => raw.includes(Buffer.from(hex, 'hex'));

t.test('an authority is a v3 CA that can sign certificates and CRLs', async (t) => {
  const authority = await createAuthority({ name: 'Test CA' });
  const { certificate } = authority;
  t.equal(certificate.subject, 'CN=Test CA');
  t.equal(certificate.issuer, 'CN=Test CA');
  t.equal(certificate.ca, true);
  t.ok(certificate.verify(certificate.publicKey), 'it is self-signed');
  t.ok(has(certificate.raw, 'a003020102'), 'version 3');
  t.ok(has(certificate.raw, CA_CONSTRAINTS));
  t.ok(has(certificate.raw, USAGE_CERT_AND_CRL_SIGN));
  t.equal(authority.isSelfSigned, true);
});

t.test('keys are P-256 by default, and RSA on request', async (t) => {
  const ec = await createAuthority({ name: 'EC' });
  t.equal(ec.privateKey.asymmetricKeyDetails?.namedCurve, 'prime256v1');
  const rsa = await createAuthority({ name: 'RSA', keyType: 'rsa' });
  t.equal(rsa.privateKey.asymmetricKeyDetails?.modulusLength, 3072);
  const leaf = await issueCertificate(ec, { kind: 'client', name: 'c', keyType: 'rsa' });
  t.equal(leaf.certificate.publicKey.asymmetricKeyDetails?.modulusLength, 2048);
  t.ok(isSignedBy(leaf, ec), 'an EC authority signs an RSA leaf');
  const other = await issueCertificate(rsa, { kind: 'client', name: 'c' });
  t.equal(other.certificate.publicKey.asymmetricKeyType, 'ec');
  t.ok(isSignedBy(other, rsa), 'an RSA authority signs an EC leaf');
});

const expected: [CertificateKind, KeyType, string, string][] = [
  ['server', 'ec', USAGE_SIGNATURE, PURPOSE_SERVER],
  ['server', 'rsa', USAGE_SIGNATURE_AND_ENCIPHERMENT, PURPOSE_SERVER],
  ['agent', 'ec', USAGE_SIGNATURE, PURPOSE_CLIENT],
  ['agent', 'rsa', USAGE_SIGNATURE, PURPOSE_CLIENT],
  ['client', 'ec', USAGE_SIGNATURE, PURPOSE_CLIENT],
  ['client', 'rsa', USAGE_SIGNATURE, PURPOSE_CLIENT],
];
for (const [kind, keyType, usage, purpose] of expected) {
  t.test(
    `a ${kind} certificate with an ${keyType} key has only the usages of its kind`,
    async (t) => {
      const authority = await createAuthority({ name: 'Test CA' });
      const leaf = await issueCertificate(authority, { kind, keyType, name: 'n', hosts: ['h'] });
      const { certificate } = leaf;
      t.equal(certificate.ca, false);
      t.ok(has(certificate.raw, LEAF_CONSTRAINTS));
      t.ok(has(certificate.raw, usage));
      t.ok(has(certificate.raw, purpose));
      t.ok(isSignedBy(leaf, authority));
      t.ok(certificate.checkPrivateKey(createPrivateKey(leaf.keyPem)));
      t.match(leaf.keyPem, /^-----BEGIN PRIVATE KEY-----\n/);
      t.equal(
        leaf.certPem,
        certificate.toString(),
        'there is no chain below a self-signed authority',
      );
    },
  );
}

t.test('the subject has the organizations and the name in UTF-8', async (t) => {
  const authority = await createAuthority({ name: 'Test CA' });
  const { certificate } = await issueCertificate(authority, {
    kind: 'client',
    name: 'Jürgen 東',
    organizations: ['system:masters', 'ops, eu'],
  });
  t.equal(certificate.subject, 'O=system:masters\nO=ops\\, eu\nCN=Jürgen 東');
});

t.test('a leaf has the key identifier of its authority', async (t) => {
  const authority = await createAuthority({ name: 'Test CA' });
  const leaf = await issueCertificate(authority, { kind: 'client', name: 'c' });
  const hex = authority.keyIdentifier.toString('hex');
  t.equal(authority.keyIdentifier.length, 32);
  t.ok(has(authority.certificate.raw, `301d0603551d0e0416`) === false, 'not a SHA-1');
  t.ok(has(authority.certificate.raw, `30290603551d0e04220420${hex}`), 'subject key identifier');
  t.ok(has(leaf.certificate.raw, `302b0603551d230424302280 20${hex}`.replace(' ', '')));
});

t.test('serial numbers are positive, have 128 bits and differ', async (t) => {
  const authority = await createAuthority({ name: 'Test CA' });
  const serials = new Set<string>();
  for (let count = 0; count < 200; count += 1) {
    const { certificate } = await issueCertificate(authority, { kind: 'client', name: 'c' });
    t.match(certificate.serialNumber, /^[4-7][0-9A-F]{31}$/);
    serials.add(certificate.serialNumber);
  }
  t.equal(serials.size, 200);
});

// An EC point whose second byte is 3f can be mistaken for a nested OCTET STRING.
t.test('every EC public key is encoded unchanged', async (t) => {
  const authority = await createAuthority({ name: 'Test CA' });
  const secondBytes = new Set<number>();
  let secondByte: number;
  // Each value of the second byte is tested once.
  do {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    secondByte = publicKey.export({ type: 'spki', format: 'der' }).readUInt8(27);
    if (secondBytes.has(secondByte)) continue;
    secondBytes.add(secondByte);
    const { certificate } = certifyKey(authority, publicKey, { kind: 'client', name: 'c' });
    if (!certificate.checkPrivateKey(privateKey)) t.fail('the key was changed');
  } while (!secondBytes.has(0x3f));
  t.ok(secondBytes.has(0x3f), `tried ${secondBytes.size} values`);
});

for (const name of ['', '  ', 'a\nb', 'a\0', 'x'.repeat(65), '\ud800']) {
  t.test(`refuses the name ${JSON.stringify(name)}`, async (t) => {
    await t.rejects(createAuthority({ name }), { name: 'PkiError', code: 'bad_name' });
    const authority = await createAuthority({ name: 'x'.repeat(64) });
    await t.rejects(issueCertificate(authority, { kind: 'client', name }), { code: 'bad_name' });
    const options = { kind: 'client', name: 'c', organizations: ['fine', name] } as const;
    await t.rejects(issueCertificate(authority, options), { code: 'bad_organization' });
  });
}
