import { setTimeout as delay } from 'node:timers/promises';

/**
 * Waiting that can be cut short: for a moment that may move, or for news. Keeps the process alive
 * while it waits for a moment, since a dial is pending then.
 */
export class Pause {
  readonly #signal: AbortSignal;
  #wake: AbortController | undefined;
  /** When the next thing may be done, by `performance.now()`. */
  #dueMs = 0;

  /** @param signal ends all waiting */
  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  get dueMs(): number {
    return this.#dueMs;
  }

  /** Sets the moment, which may be earlier than the one that is waited for. */
  dueIn(ms: number): void {
    this.#dueMs = performance.now() + ms;
    this.wake();
  }

  /** Ends a wait for news, and lets a wait for the moment look at the clock. */
  wake(): void {
    this.#wake?.abort();
  }

  /** Waits until the moment has come. */
  async untilDue(): Promise<void> {
    while (!this.#signal.aborted) {
      // Asked once: Node warns of a wait that has become negative since.
      const leftMs = this.#dueMs - performance.now();
      if (leftMs <= 0) return;
      await this.#wait((signal) => delay(leftMs, undefined, { signal }));
    }
  }

  /** Waits for `wake`. */
  async untilWoken(): Promise<void> {
    await this.#wait(
      (signal) =>
        new Promise<void>((resolve) => {
          signal.addEventListener('abort', () => resolve());
        }),
    );
  }

  async #wait(until: (signal: AbortSignal) => Promise<void>): Promise<void> {
    if (this.#signal.aborted) return;
    const wake = new AbortController();
    const stop = () => wake.abort();
    this.#wake = wake;
    this.#signal.addEventListener('abort', stop);
    try {
      await until(wake.signal);
    } catch {
      // Only the abort can reject it.
    } finally {
      this.#signal.removeEventListener('abort', stop);
    }
  }
}
