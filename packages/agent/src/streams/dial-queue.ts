/** A dial costs the event loop about as much as 16 KiB of payload; so many at once, and then others. */
const MAX_TURN_MS = 5;

/**
 * Starts dials a few at a time, in order. A server may open thousands of streams within one read of the
 * tunnel, as it does when a client of its own opens them: begun there and then, they would hold up the bytes
 * of every other stream. Most of those that a client gives up at once are never begun.
 */
export class DialQueue {
  /** Not looked at yet, in order. */
  #waiting: (() => void)[] = [];
  /** Those before them, the next one last: what has begun must not be kept until the last has. */
  #next: (() => void)[] = [];
  #isScheduled = false;
  readonly #pump = () => this.#onTurn();

  /** Calls `start` at the end of this turn of the event loop, or of one of the next. */
  add(start: () => void): void {
    this.#waiting.push(start);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#pump);
  }

  #onTurn(): void {
    this.#isScheduled = false;
    const untilMs = performance.now() + MAX_TURN_MS;
    do {
      if (this.#next.length === 0) {
        this.#next = this.#waiting.reverse();
        this.#waiting = [];
      }
      this.#next.pop()?.();
    } while (performance.now() < untilMs && this.#length > 0);
    if (this.#length > 0) this.#schedule();
  }

  get #length(): number {
    return this.#next.length + this.#waiting.length;
  }
}
