import { Backoff } from '@fairlead/runtime/net';
import t from 'tap';

const shortest = () => 0;
const longest = () => 1;

function pauses(backoff: Backoff, count: number): number[] {
  return Array.from({ length: count }, () => backoff.next());
}

t.test('pauses double from 0.5 s to 30 s', async (t) => {
  t.same(
    pauses(new Backoff({ random: shortest }), 8),
    [500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000],
  );
  t.same(
    pauses(new Backoff({ random: longest }), 8),
    [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000],
  );
});

t.test('the pauses of several agents differ', async (t) => {
  const pauses = Array.from({ length: 50 }, () => new Backoff().next());
  t.ok(new Set(pauses).size > 40);
  t.ok(pauses.every((ms) => ms >= 500 && ms < 1000));
});

t.test('after reset() the next pause is short', async (t) => {
  const backoff = new Backoff({ random: longest });
  pauses(backoff, 5);
  backoff.reset();
  t.equal(backoff.next(), 1000);
});

t.test('respects configured limits', async (t) => {
  t.same(pauses(new Backoff({ minMs: 10, maxMs: 30, random: longest }), 3), [20, 30, 30]);
  t.same(pauses(new Backoff({ minMs: 10, maxMs: 10, random: shortest }), 2), [10, 10]);
  t.same(pauses(new Backoff({ minMs: 50, maxMs: 10, random: shortest }), 2), [10, 10]);
});

t.test('wait()', async (t) => {
  t.test('ends after the pause', async (t) => {
    t.equal(await new Backoff({ minMs: 1, maxMs: 2 }).wait(), true);
    t.equal(await new Backoff({ minMs: 1, maxMs: 2 }).wait(new AbortController().signal), true);
  });

  t.test('ends at once after an abort, and leaves no timer', async (t) => {
    const timers = () =>
      process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = timers();
    const abort = new AbortController();
    const wait = new Backoff({ minMs: 60_000, maxMs: 60_000 }).wait(abort.signal);
    t.equal(timers(), before + 1, 'a timer that keeps the process alive');
    abort.abort();
    t.equal(await wait, false);
    t.equal(timers(), before);
    t.equal(await new Backoff().wait(abort.signal), false, 'aborted before the start');
  });
});

t.test('after undoReset() the pauses continue to grow', async (t) => {
  const backoff = new Backoff({ minMs: 10, maxMs: 1_000, random: () => 0 });
  const pauses: number[] = [];
  for (let attempt = 0; attempt < 6; attempt++) {
    backoff.reset();
    backoff.undoReset();
    pauses.push(backoff.next());
  }
  t.strictSame(pauses, [10, 20, 40, 80, 160, 320]);
  backoff.reset();
  t.equal(backoff.next(), 10);
});
