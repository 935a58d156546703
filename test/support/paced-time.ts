import { controlTime } from '@fairlead/testkit/controlled-time';
import type { Test } from 'tap';

// The real functions, saved before time is controlled.
const { setTimeout: realSetTimeout } = globalThis;
const realNow = performance.now.bind(performance);

const stepMs = 10;

/**
 * Paces the time of this process by its work until the test ends: timers and clocks advance by 10 ms for
 * every few ticks of the event loop. So a busy machine cannot miss deadlines of servers and agents in this
 * process. Call it before they start: clocks begin at 0.
 *
 * @param options.withProcesses for a test with other processes: time also passes no faster than real time
 */
export function usePacedTime(t: Test, options: { readonly withProcesses?: boolean } = {}): void {
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
