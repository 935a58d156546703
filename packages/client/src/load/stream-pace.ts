/** When a stream's operations begin: as soon as it is free, or at a given rate. */

/** What a timer may be late by before it is held against the operation; Node's count in ms. */
const timerLatenessMs = 2;

export interface PaceOrder {
  readonly streams: number;
  readonly ratePerSecond?: number;
}

/**
 * The schedule of one stream. With a rate, operation n is due at a fixed time whatever became of
 * the earlier ones: when the stream is still busy then, the operation begins late and its latency
 * counts from when it was due. Without that, a system that stalls would be asked less and look fast
 * (coordinated omission).
 */
export class StreamPace {
  readonly #intervalMs: number | undefined;
  /** The stream's turn within an interval, so that the streams of a load do not send all at once. */
  readonly #turnMs: number;
  /** When the next operation is due; undefined before the first. */
  #dueMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor({ ratePerSecond, streams }: PaceOrder, index: number) {
    this.#intervalMs = ratePerSecond === undefined ? undefined : (streams / ratePerSecond) * 1000;
    this.#turnMs = (index / streams) * (this.#intervalMs ?? 0);
  }

  /** Whether operations wait for their time. */
  get isPaced(): boolean {
    return this.#intervalMs !== undefined;
  }

  /**
   * The stream is free for its next operation.
   * @param start called at once or later, with the time from which the latency counts
   */
  next(start: (sinceMs: number) => void): void {
    const nowMs = performance.now();
    if (this.#intervalMs === undefined) {
      start(nowMs);
      return;
    }
    const dueMs = this.#dueMs ?? nowMs + this.#turnMs;
    if (dueMs <= nowMs) {
      this.#dueMs = dueMs + this.#intervalMs;
      start(dueMs);
      return;
    }
    this.#dueMs = dueMs;
    this.#timer = setTimeout(() => {
      this.#dueMs = dueMs + this.#intervalMs!;
      const atMs = performance.now();
      // The stream was free: what the timer is late by within its precision is our own doing.
      start(atMs - dueMs <= timerLatenessMs ? atMs : dueMs);
    }, dueMs - nowMs);
  }

  /** The stream is gone: an operation that waits for its time stays due. */
  cancel(): void {
    clearTimeout(this.#timer);
  }
}
