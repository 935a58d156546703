/** Pauses between attempts that fail: they double, and each is drawn from the upper half of its range. */
export class RetryPause {
  readonly #minMs: number;
  readonly #maxMs: number;
  #ceilingMs: number;

  constructor({ minMs, maxMs }: { readonly minMs: number; readonly maxMs: number }) {
    this.#minMs = minMs;
    this.#maxMs = maxMs;
    this.#ceilingMs = minMs;
  }

  next(): number {
    const ceilingMs = this.#ceilingMs;
    this.#ceilingMs = Math.min(this.#maxMs, ceilingMs * 2);
    return ceilingMs * (0.5 + Math.random() / 2);
  }

  reset(): void {
    this.#ceilingMs = this.#minMs;
  }
}
