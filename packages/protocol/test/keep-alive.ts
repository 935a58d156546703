import type { Test } from 'tap';

/** Keeps the process up while a test waits for a timer that does not do so itself. */
export function keepAlive(t: Test): void {
  const timer = setInterval(() => {}, 1_000);
  t.teardown(() => clearInterval(timer));
}
