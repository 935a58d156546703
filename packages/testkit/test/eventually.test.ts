import { setTimeout as pause } from 'node:timers/promises';
import { Changes } from '@fairlead/testkit';
import { controlTime } from '@fairlead/testkit/controlled-time';
import { eventually } from '@fairlead/testkit/eventually';
import t from 'tap';

t.test('eventually() returns the first truthy result', async (t) => {
  let calls = 0;
  t.equal(await eventually('three calls', () => (++calls === 3 ? 'done' : undefined)), 'done');
  t.equal(calls, 3);
});

t.test('eventually() repeats a check that throws', async (t) => {
  let calls = 0;
  const check = async () => {
    if (++calls < 3) throw new Error('not yet');
    return calls;
  };
  t.equal(await eventually('no error', check), 3);
});

t.test('the error of eventually() has the awaited state and the last result', async (t) => {
  await t.rejects(
    eventually('the state is reached', () => 0, { timeout: 5 }),
    {
      message: 'not within 5 ms: the state is reached; last: 0',
    },
  );
  const cause = new Error('broken');
  const check = () => Promise.reject(cause);
  await t.rejects(eventually('the state is reached', check, { timeout: 5 }), {
    message: /^not within 5 ms: the state is reached; last: Error: broken/,
    cause,
  });
});

t.test('controlled time advances only by advance()', async (t) => {
  const time = controlTime(t);
  const startMs = performance.now();
  const startDate = Date.now();
  let calls = 0;
  setTimeout(() => calls++, 60_000);
  const waited = pause(90_000).then(() => calls++);
  const controller = new AbortController();
  const aborted = t.rejects(pause(90_000, undefined, { signal: controller.signal }), {
    name: 'AbortError',
  });
  controller.abort();
  await aborted;
  t.equal(time.pendingTimers, 2);
  await time.advance(59_999);
  t.equal(calls, 0);
  await time.advance(1);
  t.equal(calls, 1);
  await time.advance(30_000);
  await waited;
  t.equal(calls, 2);
  t.equal(performance.now() - startMs, 90_000);
  t.equal(Date.now() - startDate, 90_000);
  t.equal(time.pendingTimers, 0);
});

t.test('time is real again after a test with controlled time', async (t) => {
  const startMs = performance.now();
  await pause(5);
  t.ok(performance.now() - startMs >= 4);
});

t.test('Changes.until() checks its state after each notification', async (t) => {
  const changes = new Changes();
  let state = 0;
  const waits = Promise.all([
    changes.until(() => state === 2 && 'two'),
    changes.until(() => state >= 1 && 'one or more'),
  ]);
  changes.notify();
  state = 1;
  changes.notify();
  // A change after the notification in the same tick counts too.
  state = 2;
  t.same(await waits, ['two', 'one or more']);
  t.equal(
    await changes.until(() => state),
    2,
    'a state that is already reached needs no notification',
  );
});

t.test('Changes.until() times out by the real clock, and its error has the state', async (t) => {
  controlTime(t);
  const changes = new Changes();
  const timeout = { timeout: 5 };
  await t.rejects(
    changes.until(() => false, 'the state is reached', timeout),
    {
      message: 'not within 5 ms: the state is reached',
    },
  );
  const isReached = () => false;
  await t.rejects(changes.until(isReached, undefined, timeout), { message: /\(\) => false$/ });
  const thrown = new Error('broken');
  let isBroken = false;
  const wait = changes.until(() => {
    if (isBroken) throw thrown;
  });
  isBroken = true;
  changes.notify();
  await t.rejects(wait, thrown);
});
