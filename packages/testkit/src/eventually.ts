import { inspect } from 'node:util';

// The real clock, because a wait must end even if a test controls time.
const { setTimeout: realSetTimeout } = globalThis;
const realNow = performance.now.bind(performance);

/** How long a test waits for a state, in ms. Long enough for a busy machine. */
export const defaultTimeoutMs = 60_000;
const longestPauseMs = 50;

export interface EventuallyOptions {
  /** In ms; `defaultTimeoutMs` if left out. */
  readonly timeout?: number;
}

/**
 * Waits until the result of the check is truthy, and returns it.
 *
 * @param what names the awaited state in the error: `the agent is connected`
 * @param check can be asynchronous; if it throws, it is repeated, and the last error is the cause
 * @throws Error that names the state and the last result, after `timeout`
 */
export async function eventually<Result>(
  what: string,
  check: () => Result | Promise<Result>,
  { timeout = defaultTimeoutMs }: EventuallyOptions = {},
): Promise<Result> {
  const untilMs = realNow() + timeout;
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    let last: { result: Result } | { error: unknown };
    try {
      last = { result: await check() };
      if (last.result) return last.result;
    } catch (error) {
      last = { error };
    }
    if (realNow() >= untilMs) {
      const seen = 'error' in last ? last.error : last.result;
      throw new Error(`not within ${timeout} ms: ${what}; last: ${inspect(seen, { depth: 3 })}`, {
        cause: 'error' in last ? last.error : undefined,
      });
    }
    await new Promise<void>((resolve) => realSetTimeout(resolve, pauseMs));
  }
}
