/** How long dials may run in one tick. A dial costs the event loop about as much as 16 KiB of payload. */
const MAX_MS_PER_TICK = 5;

interface QueuedDial {
  run(): void;
}

/**
 * Starts a few dials per tick, in order. One read from the tunnel can carry thousands of OPENs, if one client
 * opened them at once: starting all dials in that tick would delay the bytes of every other stream. Most
 * streams that a client resets at once are then never dialed.
 */
export class DialQueue {
  /** Added since `#next` was filled, in order. */
  #waiting: QueuedDial[] = [];
  /** The dials before those, in reverse order: `pop` releases each dial as soon as it has started. */
  #next: QueuedDial[] = [];
  #isScheduled = false;
  readonly #pump = () => this.#onTick();

  /** Calls `dial.run` at the end of this tick, or of a later one. */
  add(dial: QueuedDial): void {
    this.#waiting.push(dial);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#pump);
  }

  #onTick(): void {
    this.#isScheduled = false;
    const untilMs = performance.now() + MAX_MS_PER_TICK;
    do {
      if (this.#next.length === 0) {
        this.#next = this.#waiting.reverse();
        this.#waiting = [];
      }
      this.#next.pop()?.run();
    } while (performance.now() < untilMs && this.#length > 0);
    if (this.#length > 0) this.#schedule();
  }

  get #length(): number {
    return this.#next.length + this.#waiting.length;
  }
}
