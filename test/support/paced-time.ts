import { controlTime } from '@fairlead/testkit/controlled-time';
import type { Test } from 'tap';

// Kept from before time is controlled.
const { setTimeout: realSetTimeout } = globalThis;
const realNow = performance.now.bind(performance);

const stepMs = 10;

/**
 * Until the test ends, time passes as this process gets its work done and no faster: timers and clocks move
 * on by 10 ms for each few ticks of the event loop. Deadlines and pauses of servers and agents in this
 * process then hold on a machine of any load. Call it before they start: clocks begin at 0.
 *
 * @param options.withProcesses for a test with other processes: time is not faster than theirs either
 */
export function passTime(t: Test, options: { readonly withProcesses?: boolean } = {}): void {
  const time = controlTime(t);
  let isOver = false;
  const passing = (async () => {
    for (let atMs = realNow(); !isOver; ) {
      await new Promise((resolve) => {
        if (options.withProcesses) realSetTimeout(resolve, stepMs);
        else setImmediate(resolve);
      });
      const elapsedMs = realNow() - atMs;
      atMs += elapsedMs;
      await time.advance(options.withProcesses ? Math.min(elapsedMs, stepMs) : stepMs);
    }
  })();
  t.teardown(async () => {
    isOver = true;
    await passing;
  });
}
