import { syncBuiltinESMExports } from 'node:module';
import { type Clock, withGlobal } from '@sinonjs/fake-timers';

/** Time that stands still until the test moves it. */
export interface ControlledTime {
  /** Moves time on by `ms` and runs the timers that fall due, with the promises that they settle. */
  advance(ms: number): Promise<void>;
  /** Timers that wait, for a test that checks that none is left. */
  readonly pendingTimers: number;
}

/** The part of a tap test that `controlTime` needs. */
interface Teardown {
  teardown(cleanUp: () => void): void;
}

/**
 * Replaces the timers and clocks of this process until the test ends: `setTimeout`, `setInterval`,
 * `node:timers/promises`, `Date` and `performance.now`. Sockets, `setImmediate`, `process.nextTick` and
 * socket timeouts stay real. `eventually` waits by the real clock.
 */
export function controlTime(t: Teardown): ControlledTime {
  const clock: Clock = withGlobal(globalThis).install({
    now: Date.now(),
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'],
  });
  // Modules import timers/promises by name: the names must lead to the replacements.
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
