import { setTimeout as delay } from 'node:timers/promises';

/** As client-go's: so many requests a second, and so many at once after a pause. */
export interface RequestRateOptions {
  readonly perSecond: number;
  readonly burst: number;
  /** More do not wait; default 1,000. */
  readonly maxWaiting?: number;
}

/** Makes requests wait their turn. */
export class RequestRate {
  readonly #intervalMs: number;
  readonly #burst: number;
  readonly #maxWaiting: number;
  /** When the bucket was, or will be, empty down to the last place: each request moves it on. */
  #nextMs = Number.NEGATIVE_INFINITY;
  #waiting = 0;

  constructor({ perSecond, burst, maxWaiting = 1_000 }: RequestRateOptions) {
    this.#intervalMs = 1_000 / perSecond;
    this.#burst = Math.max(1, burst);
    this.#maxWaiting = maxWaiting;
  }

  /**
   * Resolves when the request may leave.
   * @returns false if too many wait already
   */
  async take(signal?: AbortSignal): Promise<boolean> {
    const nowMs = performance.now();
    const fullMs = nowMs - (this.#burst - 1) * this.#intervalMs;
    const dueMs = Math.max(this.#nextMs, fullMs);
    if (dueMs <= nowMs) {
      this.#nextMs = dueMs + this.#intervalMs;
      return true;
    }
    if (this.#waiting >= this.#maxWaiting) return false;
    this.#nextMs = dueMs + this.#intervalMs;
    this.#waiting += 1;
    try {
      await delay(dueMs - nowMs, undefined, { ...(signal && { signal }), ref: false });
    } finally {
      this.#waiting -= 1;
    }
    return true;
  }
}
