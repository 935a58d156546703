import { StreamLimits } from '@fairlead/server/internal';
import { controlTime } from '@fairlead/testkit/controlled-time';
import t, { type Test } from 'tap';

/** Creates limits and records the names of those that are reached. */
function startLimits(options: ConstructorParameters<typeof StreamLimits>[0]) {
  const reached: string[] = [];
  const limits = new StreamLimits(options, (name) => reached.push(name));
  /** The limit that refuses the caller's next stream. */
  const refusedBy = (t: Test, caller: string) => {
    t.throws(() => limits.admit(caller), { code: 'limit_reached' });
    return reached.at(-1);
  };
  return { limits, reached, refusedBy };
}

t.test('each limit refuses streams until others end', async (t) => {
  const { limits, refusedBy } = startLimits({
    maxStreams: 4,
    maxStreamsPerCaller: 3,
    maxPendingDials: 2,
  });
  const first = limits.admit('a');
  const second = limits.admit('a');
  t.equal(refusedBy(t, 'a'), 'pending_dials');
  first.onDialEnd();
  first.onDialEnd();
  second.onDialEnd();
  const third = limits.admit('a');
  third.onDialEnd();
  t.equal(refusedBy(t, 'a'), 'streams_per_caller');
  const other = limits.admit('b');
  other.onDialEnd();
  t.equal(refusedBy(t, 'b'), 'streams');
  first.end();
  limits.admit('b').end();
  second.end();
  third.end();
  other.end();
  for (let times = 0; times < 100; times++) limits.admit('a').end();
});

t.test('limits the streams that a caller opens in a second', async (t) => {
  const time = controlTime(t);
  const { limits, reached } = startLimits({ maxOpensPerSecond: 5 });
  const openUntilRefused = () => {
    let opened = 0;
    reached.length = 0;
    while (reached.length === 0 && opened < 100) {
      try {
        limits.admit('a').end();
        opened++;
      } catch {
        t.same(reached, ['opens_per_caller']);
      }
    }
    return opened;
  };
  t.equal(openUntilRefused(), 10, 'a burst of twice the rate');
  await time.advance(1_000);
  t.equal(openUntilRefused(), 5, 'after a second');
  limits.admit('b').end();
});

t.test('limits the dials that a caller abandons, and refills the budget over time', async (t) => {
  const time = controlTime(t);
  const { limits, refusedBy } = startLimits({ abandonLimit: { burst: 3, perSecond: 2 } });
  const abandon = () => {
    const lease = limits.admit('a');
    lease.onAbandoned();
    lease.end();
  };
  const isAdmitted = (caller: string) => t.doesNotThrow(() => limits.admit(caller).end());
  for (let count = 0; count < 3; count++) abandon();
  t.equal(refusedBy(t, 'a'), 'abandoned_dials');
  isAdmitted('b');
  await time.advance(499);
  t.equal(refusedBy(t, 'a'), 'abandoned_dials');
  await time.advance(1);
  abandon();
  t.equal(refusedBy(t, 'a'), 'abandoned_dials');
  await time.advance(60_000);
  for (let count = 0; count < 3; count++) abandon();
  t.equal(refusedBy(t, 'a'), 'abandoned_dials', 'the budget does not grow beyond the burst');
});

t.test('the budget for abandoned dials does not become negative', async (t) => {
  const time = controlTime(t);
  const { limits, refusedBy } = startLimits({ abandonLimit: { burst: 1, perSecond: 1 } });
  const leases = Array.from({ length: 100 }, () => limits.admit('a'));
  for (const lease of leases) lease.onAbandoned();
  t.equal(refusedBy(t, 'a'), 'abandoned_dials');
  await time.advance(1_000);
  t.doesNotThrow(() => limits.admit('a').end());
});
