import { RenewalClock } from '@fairlead/agent/internal';
import { createAuthority, issueCertificate } from '@fairlead/pki';
import t from 'tap';

const dayMs = 86_400_000;
const authority = await createAuthority({ name: 'CA', now: new Date(Date.now() - 60 * dayMs) });

/** A certificate with a lifetime of 30 days, of which `part` has passed. */
async function aged(part: number) {
  const now = new Date(Date.now() - part * 30 * dayMs);
  const { certificate } = await issueCertificate(authority, {
    kind: 'agent',
    name: 'n',
    days: 30,
    now,
  });
  return certificate;
}

/** Whether the renewal is due now. */
async function isDue(clock: RenewalClock, part: number, abort: AbortController): Promise<boolean> {
  const due = clock.untilDue(await aged(part));
  setImmediate(() => abort.abort());
  return due;
}

t.test('the renewal is due after a random part of the lifetime between 0.6 and 0.7', async (t) => {
  const cases: [random: number, part: number, due: boolean][] = [
    [0, 0.59, false],
    [0, 0.61, true],
    [0.99, 0.65, false],
    [0.99, 0.71, true],
    [0.5, 1.1, true],
  ];
  for (const [random, part, due] of cases) {
    const abort = new AbortController();
    const clock = new RenewalClock(abort.signal, () => random);
    t.equal(await isDue(clock, part, abort), due, `${random} at ${part}`);
  }
});

t.test('pauses grow after each failure, and a renewal is followed by a pause', async (t) => {
  const abort = new AbortController();
  const clock = new RenewalClock(abort.signal, () => 1);
  const old = await aged(0.8);
  const pauses = [1, 2, 3, 4, 5].map(() => clock.onFailed(old));
  t.same(
    pauses.map((pauseMs) => Math.round(pauseMs / 60_000)),
    [60, 60, 60, 60, 60],
    'pauses are at most an hour',
  );
  const short = {
    validFrom: new Date().toISOString(),
    validTo: new Date(Date.now() + 400_000).toISOString(),
  };
  const other = new RenewalClock(abort.signal, () => 1);
  const shortPauses = [1, 2, 3].map(() => Math.round(other.onFailed(short as typeof old) / 1000));
  t.same(shortPauses, [4, 8, 16]);
  other.onRenewed(old);
  t.equal(await isDue(other, 0.9, abort), false, 'even if the new certificate is already due');
});
