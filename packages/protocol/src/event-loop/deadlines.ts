/**
 * Deadlines that are equally far from the start of each item. One timer serves all of them, so that an item costs no
 * timer of its own.
 */
export class Deadlines<T> {
  readonly #timeoutMs: number;
  readonly #onDeadline: (item: T) => void;
  /** When each item started, the oldest first. */
  readonly #startedAtMs = new Map<T, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(timeoutMs: number, onDeadline: (item: T) => void) {
    this.#timeoutMs = timeoutMs;
    this.#onDeadline = onDeadline;
  }

  /** Starts an item's time. */
  add(item: T): void {
    this.#startedAtMs.set(item, performance.now());
    this.#timer ??= setTimeout(this.#onTimer, this.#timeoutMs).unref();
  }

  /** The items whose time runs. */
  items(): IterableIterator<T> {
    return this.#startedAtMs.keys();
  }

  /** The item has ended in time. @returns whether its time ran */
  delete(item: T): boolean {
    return this.#startedAtMs.delete(item);
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined;
    const nowMs = performance.now();
    for (const [item, startedAtMs] of this.#startedAtMs) {
      const leftMs = startedAtMs + this.#timeoutMs - nowMs;
      // Timers may fire a little early.
      if (leftMs >= 1) {
        this.#timer = setTimeout(this.#onTimer, leftMs).unref();
        return;
      }
      this.#startedAtMs.delete(item);
      this.#onDeadline(item);
    }
  };
}
