import { RequestRate } from '@fairlead/kubernetes/internal';
import t from 'tap';

// The waiting itself keeps no process alive.
const alive = setInterval(() => {}, 1_000);
t.teardown(() => clearInterval(alive));

t.test('as many at once as the burst allows, then one after the other', async (t) => {
  const rate = new RequestRate({ perSecond: 20, burst: 5 });
  const startedAtMs = performance.now();
  const times: number[] = [];
  const all = Promise.all(
    Array.from({ length: 9 }, async () => {
      t.equal(await rate.take(), true);
      times.push(performance.now() - startedAtMs);
    }),
  );
  // Before any timer can have ended.
  await new Promise(setImmediate);
  t.equal(times.length, 5, 'at once');
  await all;
  const [sixth = 0, , , ninth = 0] = times.slice(5);
  t.ok(sixth >= 45, `the sixth waits ${sixth} ms`);
  t.ok(ninth >= 190, `the ninth waits ${ninth} ms`);
});

t.test('no more wait than may, and who goes away does not hold up the next', async (t) => {
  const rate = new RequestRate({ perSecond: 0.001, burst: 1, maxWaiting: 2 });
  t.equal(await rate.take(), true);
  const stop = new AbortController();
  const waiting = [rate.take(stop.signal), rate.take(stop.signal)];
  t.equal(await rate.take(), false);
  stop.abort();
  for (const one of waiting) await t.rejects(one, { name: 'AbortError' });
  const other = new AbortController();
  const another = rate.take(other.signal);
  other.abort();
  await t.rejects(another, { name: 'AbortError' }, 'there is room to wait again');
});
