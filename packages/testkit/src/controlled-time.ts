import { syncBuiltinESMExports } from 'node:module';
import { type Clock, withGlobal } from '@sinonjs/fake-timers';
import { eventually } from './eventually.ts';

/** Time that moves only when the test moves it. */
export interface ControlledTime {
  /** Moves time on by `ms` and runs the timers that fall due, with the promises that they settle. */
  advance(ms: number): Promise<void>;
  readonly pendingTimers: number;
}

/**
 * Replaces the timers and clocks of this process until the test ends: `setTimeout`, `setInterval`,
 * `node:timers/promises`, `Date` and `performance.now`. Sockets, `setImmediate`, `process.nextTick` and
 * socket timeouts stay real. `eventually` waits by the real clock.
 */
export function controlTime(t: { teardown(cleanUp: () => void): void }): ControlledTime {
  const clock: Clock = withGlobal(globalThis).install({
    now: Date.now(),
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'],
  });
  // Updates the named imports of timers/promises.
  syncBuiltinESMExports();
  t.teardown(() => {
    clock.uninstall();
    syncBuiltinESMExports();
  });
  return {
    advance: async (ms) => {
      await clock.tickAsync(ms);
    },
    get pendingTimers() {
      return clock.countTimers();
    },
  };
}

export interface PassTimeOptions {
  /** How far each step moves time on, in ms. */
  readonly stepMs: number;
  /** Ticks of the event loop before each step, for sockets whose bytes must not come late. */
  readonly ticks?: number;
}

/** Steps between two checks of the real clock, which limits the wait. */
const stepsAtOnce = 50;

/**
 * Moves time on, step by step, until the check holds.
 * @throws Error that names the state, as `eventually` does
 */
export async function passTimeUntil(
  time: ControlledTime,
  what: string,
  check: () => boolean,
  { stepMs, ticks = 0 }: PassTimeOptions,
): Promise<void> {
  await eventually(what, async () => {
    for (let step = 0; step < stepsAtOnce && !check(); step++) {
      for (let tick = 0; tick < ticks; tick++) await new Promise(setImmediate);
      if (!check()) await time.advance(stepMs);
    }
    return check();
  });
}

/** Moves time on, step by step, until the work is done. @returns its result, or rejects as it does */
export async function passTime<Result>(
  time: ControlledTime,
  what: string,
  work: Promise<Result>,
  options: PassTimeOptions,
): Promise<Result> {
  let isDone = false;
  const end = () => {
    isDone = true;
  };
  work.then(end, end);
  await passTimeUntil(time, what, () => isDone, options);
  return work;
}
