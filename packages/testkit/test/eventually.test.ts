import { setTimeout as pause } from 'node:timers/promises';
import { Changes } from '@fairlead/testkit';
import { controlTime } from '@fairlead/testkit/controlled-time';
import { eventually } from '@fairlead/testkit/eventually';
import t from 'tap';

t.test('eventually returns the first truthy result', async (t) => {
  let calls = 0;
  t.equal(await eventually('three calls', () => (++calls === 3 ? 'done' : undefined)), 'done');
  t.equal(calls, 3);
});

t.test('eventually asks again after a check that throws', async (t) => {
  let calls = 0;
  const check = async () => {
    if (++calls < 3) throw new Error('not yet');
    return calls;
  };
  t.equal(await eventually('no error', check), 3);
});

t.test('eventually names what it waited for, and the last result', async (t) => {
  await t.rejects(
    eventually('the moon is full', () => 0, { timeout: 5 }),
    {
      message: 'not within 5 ms: the moon is full; last: 0',
    },
  );
  const cause = new Error('clouds');
  const check = () => Promise.reject(cause);
  await t.rejects(eventually('the moon is full', check, { timeout: 5 }), {
    message: /^not within 5 ms: the moon is full; last: Error: clouds/,
    cause,
  });
});

t.test('controlled time moves only when the test moves it', async (t) => {
  const time = controlTime(t);
  const startMs = performance.now();
  const startDate = Date.now();
  let rings = 0;
  setTimeout(() => rings++, 60_000);
  const waited = pause(90_000).then(() => rings++);
  const controller = new AbortController();
  const aborted = t.rejects(pause(90_000, undefined, { signal: controller.signal }), {
    name: 'AbortError',
  });
  controller.abort();
  await aborted;
  t.equal(time.pendingTimers, 2);
  await time.advance(59_999);
  t.equal(rings, 0);
  await time.advance(1);
  t.equal(rings, 1);
  await time.advance(30_000);
  await waited;
  t.equal(rings, 2);
  t.equal(performance.now() - startMs, 90_000);
  t.equal(Date.now() - startDate, 90_000);
  t.equal(time.pendingTimers, 0);
});

t.test('a test that took control of time gives it back', async (t) => {
  const startMs = performance.now();
  await pause(5);
  t.ok(performance.now() - startMs >= 4);
});

t.test('changes: a wait looks at its state after each notice', async (t) => {
  const changes = new Changes();
  let state = 0;
  const waits = Promise.all([
    changes.until(() => state === 2 && 'two'),
    changes.until(() => state >= 1 && 'one or more'),
  ]);
  changes.notify();
  state = 1;
  changes.notify();
  // What the notifier does after its notice counts as well.
  state = 2;
  t.same(await waits, ['two', 'one or more']);
  t.equal(await changes.until(() => state), 2, 'a state that is reached needs no notice');
});

t.test('changes: a wait in vain ends by the real clock and names its state', async (t) => {
  controlTime(t);
  const changes = new Changes();
  const timeout = { timeout: 5 };
  await t.rejects(
    changes.until(() => false, 'the moon is full', timeout),
    {
      message: 'not within 5 ms: the moon is full',
    },
  );
  const isFull = () => false;
  await t.rejects(changes.until(isFull, undefined, timeout), { message: /\(\) => false$/ });
  const thrown = new Error('clouds');
  let isCloudy = false;
  const wait = changes.until(() => {
    if (isCloudy) throw thrown;
  });
  isCloudy = true;
  changes.notify();
  await t.rejects(wait, thrown);
});
