import { Readiness } from '@fairlead/server/internal';
import t, { type Test } from 'tap';

/** Readiness with a clock that the test controls. */
function onClock(t: Test, hasBackend: () => boolean = () => true) {
  let nowMs = 1_000_000;
  const { now } = performance;
  performance.now = () => nowMs;
  t.teardown(() => {
    performance.now = now;
  });
  const readiness = new Readiness({ settleMs: 3_000, settleTimeoutMs: 30_000, hasBackend });
  return {
    readiness,
    isReady: () => readiness.whyNotReady() === undefined,
    after: (ms: number) => {
      nowMs += ms;
    },
  };
}

t.test('is ready once no further agent has connected for 3 s', async (t) => {
  let agents = 0;
  const { readiness, isReady, after } = onClock(t, () => agents > 0);
  t.match(readiness.whyNotReady(), /^no agent is connected/);
  after(60_000);
  t.notOk(isReady(), 'it is not ready without an agent, however long it waits');
  for (agents = 1; agents <= 5; agents++) {
    readiness.onAgent();
    after(2_900);
    t.equal(readiness.whyNotReady(), 'agents are still arriving');
  }
  after(100);
  t.ok(isReady());
  readiness.onAgent();
  t.ok(isReady(), 'a later agent does not change readiness');
  agents = 0;
  t.notOk(isReady());
});

t.test('is ready 30 s after the first agent if more keep connecting', async (t) => {
  const { readiness, isReady, after } = onClock(t);
  let ms = 0;
  for (; ms < 30_000; ms += 2_000) {
    readiness.onAgent();
    t.notOk(isReady(), `${ms} ms`);
    after(2_000);
  }
  readiness.onAgent();
  t.ok(isReady());
});

t.test('is not ready while it drains, and reports whether probes are watching', async (t) => {
  const { readiness, after } = onClock(t);
  t.notOk(readiness.isWatched);
  readiness.onAgent();
  after(3_000);
  t.equal(readiness.whyNotReady(), undefined);
  t.ok(readiness.isWatched);
  readiness.drain();
  t.equal(readiness.whyNotReady(), 'the server is draining');
  after(60_000);
  t.notOk(readiness.isWatched, 'the last probe was a minute ago');
});
