import type { LoadStream } from './load-stream.ts';

/**
 * The streams of one load: knows when all of them carry data and when all are closed, and turns
 * an early close into the load's failure.
 */
export class StreamSet {
  readonly running: Promise<void>;
  readonly #open = new Set<LoadStream>();
  readonly #onFailure: (error: Error) => void;
  #missing: number;
  #stopping = false;
  #onRunning = () => {};
  #onFailed: (error: Error) => void = () => {};
  #onEmpty = () => {};

  /** @param onFailure called for streams that close before `stop` */
  constructor(expected: number, onFailure: (error: Error) => void) {
    this.#missing = expected;
    this.#onFailure = onFailure;
    this.running = new Promise((resolve, reject) => {
      this.#onRunning = resolve;
      this.#onFailed = reject;
    });
    // Nobody may be waiting any more when a stream fails later on.
    this.running.catch(() => {});
  }

  get stopping(): boolean {
    return this.#stopping;
  }

  add(stream: LoadStream): void {
    this.#open.add(stream);
  }

  /** A stream carries its first data. */
  started(): void {
    if (--this.#missing === 0) this.#onRunning();
  }

  closed(stream: LoadStream, error: Error | undefined): void {
    this.#open.delete(stream);
    if (this.#stopping) {
      if (this.#open.size === 0) this.#onEmpty();
      return;
    }
    const reason = error ?? new Error('a stream ended by itself');
    this.#onFailure(reason);
    this.#onFailed(reason);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#open.size === 0) return;
    const empty = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
    for (const stream of [...this.#open]) stream.destroy();
    await empty;
  }
}
