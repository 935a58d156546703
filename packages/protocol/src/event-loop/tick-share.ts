import { currentTick } from './tick-clock.ts';

/**
 * One read by Node can bring 2 MiB. That is little payload, but it can be 100,000 small frames, which take half a
 * second. A source that has used this much of a tick is read again in the next tick.
 */
const MAX_TICK_MS = 5;

/**
 * Keeps one tunnel from using a whole tick of the event loop, whatever its peer sends.
 *
 * `begin` and `end` enclose the work. A callback would cost a closure for each read.
 */
export class TickShare {
  readonly #source: { pause(): void; resume(): void };
  #tick = -1;
  #usedMs = 0;
  #startedAtMs = 0;
  #isPaused = false;

  constructor(source: { pause(): void; resume(): void }) {
    this.#source = source;
  }

  /** Work for the source begins. */
  begin(): void {
    this.#startedAtMs = performance.now();
  }

  /** The work is done. If the source has used its share of the tick, it is paused until the next tick. */
  end(): void {
    const tick = currentTick();
    if (tick !== this.#tick) {
      this.#tick = tick;
      this.#usedMs = 0;
    }
    this.#usedMs += performance.now() - this.#startedAtMs;
    if (this.#usedMs < MAX_TICK_MS || this.#isPaused) return;
    this.#isPaused = true;
    this.#source.pause();
    setImmediate(this.#resume);
  }

  readonly #resume = (): void => {
    this.#isPaused = false;
    this.#source.resume();
  };
}
