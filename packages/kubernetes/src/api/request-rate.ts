import { setTimeout as delay } from 'node:timers/promises';

/** A token bucket that queues requests, as in client-go. */
export class RequestRate {
  readonly #intervalMs: number;
  readonly #burst: number;
  readonly #maxWaiting: number;
  /** When the next token is due once the bucket is empty; each request adds one interval. */
  #nextMs = Number.NEGATIVE_INFINITY;
  #waiting = 0;

  /**
   * @param options.perSecond rate after the burst
   * @param options.burst requests that may leave at once after a pause
   * @param options.maxWaiting length of the queue; default 1,000
   */
  constructor({
    perSecond,
    burst,
    maxWaiting = 1_000,
  }: {
    readonly perSecond: number;
    readonly burst: number;
    readonly maxWaiting?: number;
  }) {
    this.#intervalMs = 1_000 / perSecond;
    this.#burst = Math.max(1, burst);
    this.#maxWaiting = maxWaiting;
  }

  /**
   * Resolves when the request may leave.
   * @returns false if the queue is full
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
