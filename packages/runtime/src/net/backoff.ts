import { setTimeout as delay } from 'node:timers/promises';

/** Resets within this time count as one success. */
const sameSuccessMs = 10_000;

/**
 * The pauses between failing attempts. Each is longer than the previous one, and random within the upper half
 * of its range, so that agents which lost the same server do not return at the same time.
 */
export class Backoff {
  readonly #minMs: number;
  readonly #maxMs: number;
  readonly #factor: number;
  readonly #random: () => number;
  #ceilingMs: number;
  #beforeResetMs = 0;
  #resetAtMs = -Infinity;

  /**
   * @param options.minMs shortest pause; default 500
   * @param options.maxMs longest pause; default 30,000
   * @param options.factor growth from one pause to the next; default 2
   * @param options.random uniform in [0, 1)
   */
  constructor({
    minMs = 500,
    maxMs = 30_000,
    factor = 2,
    random = Math.random,
  }: {
    readonly minMs?: number | undefined;
    readonly maxMs?: number | undefined;
    readonly factor?: number | undefined;
    readonly random?: (() => number) | undefined;
  } = {}) {
    this.#minMs = Math.min(minMs, maxMs);
    this.#maxMs = maxMs;
    this.#factor = factor;
    this.#random = random;
    this.#ceilingMs = this.#firstCeilingMs;
  }

  /** The current pause in ms; the next one will be longer. */
  next(): number {
    const ceilingMs = this.#ceilingMs;
    const floorMs = Math.max(this.#minMs, ceilingMs / 2);
    this.#ceilingMs = Math.min(this.#maxMs, ceilingMs * this.#factor);
    return floorMs + this.#random() * (ceilingMs - floorMs);
  }

  /** Reports a success: the next pause is short again. */
  reset(): void {
    const nowMs = performance.now();
    // undoReset must restore the ceiling from before the first of them.
    const isSameSuccess = nowMs - this.#resetAtMs < sameSuccessMs;
    this.#beforeResetMs = Math.max(this.#ceilingMs, isSameSuccess ? this.#beforeResetMs : 0);
    this.#resetAtMs = nowMs;
    this.#ceilingMs = this.#firstCeilingMs;
  }

  /** Reports that the success did not last: pauses continue to grow from where they were before `reset`. */
  undoReset(): void {
    this.#ceilingMs = Math.max(this.#ceilingMs, this.#beforeResetMs);
  }

  /**
   * Waits for the next pause. Keeps the process alive, since a reconnect is pending.
   * @returns false if the signal was aborted; no timer remains then
   */
  async wait(signal?: AbortSignal): Promise<boolean> {
    try {
      await delay(this.next(), undefined, signal && { signal });
      return true;
    } catch {
      // Only the signal rejects it.
      return false;
    }
  }

  /** Twice the minimum, so that the first pause is random as well. */
  get #firstCeilingMs(): number {
    return Math.min(this.#maxMs, 2 * this.#minMs);
  }
}
