import { createAuthority, issueCertificate } from '@fairlead/pki';
import t from 'tap';

const DAY_MS = 86_400_000;
const client = { kind: 'client', name: 'c' } as const;

t.test('a certificate is valid from 5 minutes ago for the requested days', async (t) => {
  const now = new Date('2030-01-02T03:04:05.678Z');
  const { certificate } = await createAuthority({ name: 'CA', days: 10, now });
  t.equal(new Date(certificate.validFrom).toISOString(), '2030-01-02T02:59:05.000Z');
  t.equal(new Date(certificate.validTo).toISOString(), '2030-01-12T03:04:05.000Z');
});

t.test('the default lifetime is ten years for an authority and one year for a leaf', async (t) => {
  const authority = await createAuthority({ name: 'CA' });
  const leaf = await issueCertificate(authority, client);
  const daysLeft = (until: Date): number => Math.round((until.getTime() - Date.now()) / DAY_MS);
  t.equal(daysLeft(authority.validity.notAfter), 3650);
  t.equal(daysLeft(leaf.notAfter), 365);
  t.equal(leaf.clampedToAuthority, false);
  t.equal(new Date(leaf.certificate.validTo).getTime(), leaf.notAfter.getTime());
});

t.test('dates are UTCTime until 2049 and GeneralizedTime from 2050 (RFC 5280)', async (t) => {
  const lastUtc = await createAuthority({
    name: 'CA',
    days: 1,
    now: new Date('2049-12-30T23:59:59Z'),
  });
  t.ok(lastUtc.certificate.raw.includes('\x17\x0d491231235959Z', 0, 'latin1'));
  const firstGeneralized = await createAuthority({
    name: 'CA',
    days: 1,
    now: new Date('2049-12-31T00:00:00Z'),
  });
  t.ok(firstGeneralized.certificate.raw.includes('\x18\x0f20500101000000Z', 0, 'latin1'));
  t.equal(firstGeneralized.validity.notAfter.toISOString(), '2050-01-01T00:00:00.000Z');
});

t.test('a leaf expires with its authority at the latest, and reports the limit', async (t) => {
  const now = new Date('2030-01-01T00:00:00Z');
  const authority = await createAuthority({ name: 'CA', days: 30, now });
  const limited = await issueCertificate(authority, { ...client, days: 31, now });
  t.equal(limited.clampedToAuthority, true);
  t.same(limited.notAfter, authority.validity.notAfter);
  t.equal(limited.certificate.validTo, authority.certificate.validTo);
  const exact = await issueCertificate(authority, { ...client, days: 30, now });
  t.equal(exact.clampedToAuthority, false, 'the lifetime is not limited');
});

t.test('a leaf is not valid before its authority', async (t) => {
  const now = new Date('2030-01-01T00:00:00Z');
  const authority = await createAuthority({ name: 'CA', now });
  const early = new Date(now.getTime() - 60_000);
  const leaf = await issueCertificate(authority, { ...client, now: early });
  t.equal(leaf.certificate.validFrom, authority.certificate.validFrom);
});

t.test('an authority that has expired or is not valid yet cannot sign', async (t) => {
  const now = new Date('2030-01-01T00:00:00Z');
  const authority = await createAuthority({ name: 'CA', days: 1, now });
  const at = (text: string): Promise<unknown> =>
    issueCertificate(authority, { ...client, now: new Date(text) });
  await t.resolves(at('2030-01-02T00:00:00.000Z'), 'at notAfter');
  await t.rejects(at('2030-01-02T00:00:00.001Z'), {
    code: 'authority_unusable',
    message:
      'expired at 2030-01-02T00:00:00.000Z, and the clock of this machine says 2030-01-02T00:00:00.001Z',
  });
  await t.resolves(at('2029-12-31T23:55:00.000Z'), 'at notBefore');
  await t.rejects(at('2029-12-31T23:54:59.999Z'), {
    code: 'authority_unusable',
    message:
      'not valid before 2029-12-31T23:55:00.000Z, and the clock of this machine says 2029-12-31T23:54:59.999Z',
  });
});

for (const days of [0, -1, 1.5, 36_501, Number.NaN, Number.POSITIVE_INFINITY]) {
  t.test(`refuses a lifetime of ${days} days`, async (t) => {
    await t.rejects(createAuthority({ name: 'CA', days }), { code: 'bad_days' });
    const authority = await createAuthority({ name: 'CA', days: 36_500 });
    await t.rejects(issueCertificate(authority, { ...client, days }), { code: 'bad_days' });
  });
}
