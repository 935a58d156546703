import { setTimeout as delay } from 'node:timers/promises';

/** Resets within this time belong together. */
const TOGETHER_MS = 10_000;

export interface BackoffOptions {
  /** No pause is shorter. Default 500. */
  readonly minMs?: number | undefined;
  /** No pause is longer. Default 30,000. */
  readonly maxMs?: number | undefined;
  /** How much longer each pause is than the one before. Default 2. */
  readonly factor?: number | undefined;
  /** Uniform in [0, 1). */
  readonly random?: (() => number) | undefined;
}

/**
 * The pauses between attempts that fail: longer each time, and each drawn at random from the
 * upper half of its range, so that those who failed together (agents that lost one server) do not come back
 * together.
 */
export class Backoff {
  readonly #minMs: number;
  readonly #maxMs: number;
  readonly #factor: number;
  readonly #random: () => number;
  #ceilingMs: number;
  #beforeResetMs = 0;
  #resetAtMs = -Infinity;

  constructor({
    minMs = 500,
    maxMs = 30_000,
    factor = 2,
    random = Math.random,
  }: BackoffOptions = {}) {
    this.#minMs = Math.min(minMs, maxMs);
    this.#maxMs = maxMs;
    this.#factor = factor;
    this.#random = random;
    this.#ceilingMs = this.#firstCeilingMs;
  }

  /** How long to wait now, in milliseconds; the next pause will be longer. */
  next(): number {
    const ceilingMs = this.#ceilingMs;
    const floorMs = Math.max(this.#minMs, ceilingMs / 2);
    this.#ceilingMs = Math.min(this.#maxMs, ceilingMs * this.#factor);
    return floorMs + this.#random() * (ceilingMs - floorMs);
  }

  /** After a success: the next pause is a short one. */
  reset(): void {
    const nowMs = performance.now();
    // Several resets in a row are one success, and one of them to undo.
    const isFurther = nowMs - this.#resetAtMs < TOGETHER_MS;
    this.#beforeResetMs = Math.max(this.#ceilingMs, isFurther ? this.#beforeResetMs : 0);
    this.#resetAtMs = nowMs;
    this.#ceilingMs = this.#firstCeilingMs;
  }

  /** The success was none after all: pauses go on growing from where they were before `reset`. */
  undoReset(): void {
    this.#ceilingMs = Math.max(this.#ceilingMs, this.#beforeResetMs);
  }

  /**
   * Waits for the next pause. Keeps the process alive meanwhile, since a reconnect is pending;
   * an abort ends it at once and leaves no timer.
   * @returns whether the pause is over; false when the signal was aborted
   */
  async wait(signal?: AbortSignal): Promise<boolean> {
    try {
      await delay(this.next(), undefined, signal && { signal });
      return true;
    } catch {
      // Nothing else can reject it.
      return false;
    }
  }

  /** Twice the minimum, so that the first pause is jittered as well. */
  get #firstCeilingMs(): number {
    return Math.min(this.#maxMs, 2 * this.#minMs);
  }
}
