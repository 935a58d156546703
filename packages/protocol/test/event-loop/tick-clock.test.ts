import { noteTick } from '@fairlead/protocol';
import { latestTickMs } from '@fairlead/protocol/internal';
import t from 'tap';

function work(ms: number): void {
  const untilMs = performance.now() + ms;
  while (performance.now() < untilMs);
}

/** The next tick of the event loop, after a real wait for events. */
function nextTick(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}

t.test('the length of a busy tick is measured', async (t) => {
  await nextTick();
  noteTick();
  work(40);
  await new Promise(setImmediate);
  t.ok(latestTickMs() >= 35, `${latestTickMs()} ms`);
});

t.test('many ticks without noteTick() do not count as one long tick', async (t) => {
  noteTick();
  await new Promise(setImmediate);
  for (let count = 0; count < 100; count++) {
    await nextTick();
    work(2);
  }
  const startedAtMs = performance.now();
  await nextTick();
  noteTick();
  await new Promise(setImmediate);
  // The length of this tick, without the 200 ms of work before it.
  const longestMs = performance.now() - startedAtMs + 10;
  t.ok(latestTickMs() < longestMs, `${latestTickMs()} ms, at most ${longestMs} ms`);
});
