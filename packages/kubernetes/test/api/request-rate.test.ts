import { RequestRate } from '@fairlead/kubernetes/internal';
import { controlTime } from '@fairlead/testkit/controlled-time';
import t from 'tap';

t.test('sends a burst at once, and further requests at the rate', async (t) => {
  const time = controlTime(t);
  const rate = new RequestRate({ perSecond: 20, burst: 5 });
  const startedAtMs = performance.now();
  const times: number[] = [];
  const all = Promise.all(
    Array.from({ length: 9 }, async () => {
      t.equal(await rate.take(), true);
      times.push(performance.now() - startedAtMs);
    }),
  );
  await time.advance(1_000);
  await all;
  t.same(times, [0, 0, 0, 0, 0, 50, 100, 150, 200]);
});

t.test('limits the queue, and an abort removes a request from it', async (t) => {
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
  await t.rejects(another, { name: 'AbortError' }, 'the queue has room again');
});
