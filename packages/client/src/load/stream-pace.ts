import type { LoadOrder } from './load.ts';

/** A timer this late does not count as latency, because Node's timers have a precision of 1 ms. */
const timerLatenessMs = 2;

/**
 * The schedule of one stream. Without a rate, each operation begins as soon as the stream is free.
 * With a rate, each operation is due at a fixed time. If the stream is busy then, the operation begins
 * late, and its latency counts from when it was due. Otherwise a system that stalls would get less load
 * and look fast (coordinated omission).
 */
export class StreamPace {
  readonly #intervalMs: number | undefined;
  /** Offset within the interval, so that the streams of a load do not send at the same time. */
  readonly #offsetMs: number;
  /** When the next operation is due; undefined before the first. */
  #dueMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param index of the stream, below `streams` */
  constructor(
    { ratePerSecond, streams }: Pick<LoadOrder, 'ratePerSecond' | 'streams'>,
    index: number,
  ) {
    this.#intervalMs = ratePerSecond === undefined ? undefined : (streams / ratePerSecond) * 1000;
    this.#offsetMs = (index / streams) * (this.#intervalMs ?? 0);
  }

  get isPaced(): boolean {
    return this.#intervalMs !== undefined;
  }

  /**
   * Begins the stream's next operation as soon as it is due.
   * @param start called now or later, with the time from which the latency counts
   */
  next(start: (sinceMs: number) => void): void {
    const nowMs = performance.now();
    if (this.#intervalMs === undefined) {
      start(nowMs);
      return;
    }
    const dueMs = this.#dueMs ?? nowMs + this.#offsetMs;
    if (dueMs <= nowMs) {
      this.#dueMs = dueMs + this.#intervalMs;
      start(dueMs);
      return;
    }
    this.#dueMs = dueMs;
    this.#timer = setTimeout(() => {
      this.#dueMs = dueMs + this.#intervalMs!;
      const atMs = performance.now();
      // The stream was free, so a small delay is the timer's.
      start(atMs - dueMs <= timerLatenessMs ? atMs : dueMs);
    }, dueMs - nowMs);
  }

  /** Ends the wait of `next`, because the stream has ended. Its operation stays due. */
  cancel(): void {
    clearTimeout(this.#timer);
  }
}
