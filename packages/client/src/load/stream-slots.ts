import { ClientError } from '../client-error.ts';
import type { Load, LoadOrder } from './load.ts';
import type { Meter } from './meter.ts';
import { type SlotHandler, SlotLoad } from './slot-load.ts';
import type { StreamSlot } from './stream-slot.ts';

/**
 * The streams of one load. It opens them, and knows when all of them carry data.
 * A stream that ends early is a failure: it is counted, and rejects `running` unless the load is lasting.
 */
export class StreamSlots extends SlotLoad implements Load {
  readonly running: Promise<void>;
  readonly #handlerFor: (slot: StreamSlot) => SlotHandler;
  #missing: number;
  /** Index of the slot that is opened when the next stream has started. */
  #nextAt = 0;
  #onRunning = () => {};
  #onFailed: (error: Error) => void = () => {};

  /** @param handlerFor called for each stream; it writes to `slot.stream` */
  constructor(order: LoadOrder, meter: Meter, handlerFor: (slot: StreamSlot) => SlotHandler) {
    super(order, meter);
    this.#handlerFor = handlerFor;
    this.#missing = order.streams;
    this.running = new Promise((resolve, reject) => {
      this.#onRunning = resolve;
      this.#onFailed = reject;
    });
    // A stream can fail when `running` is no longer awaited.
    this.running.catch(() => {});
  }

  /**
   * Opens the streams.
   * @param atOnce how many are opened at the same time; the next one is opened when one has started
   */
  start(atOnce = this.slots.length): this {
    const { rampMs = 0, streams } = this.order;
    for (const [at, slot] of this.slots.slice(0, atOnce).entries()) {
      slot.openLater(() => this.#openIn(slot), (rampMs * at) / streams);
    }
    this.#nextAt = atOnce;
    return this;
  }

  started(slot: StreamSlot): void {
    slot.onAnswer();
    if (slot.hasStarted) return;
    slot.hasStarted = true;
    if (--this.#missing === 0) this.#onRunning();
    const following = this.slots[this.#nextAt++];
    if (following) this.#openIn(following);
  }

  #openIn(slot: StreamSlot): void {
    if (this.stopping) return;
    this.open(slot, this.#handlerFor(slot), (reason) => {
      if (this.stopping) return;
      const failure = reason ?? new ClientError('stream_lost', 'the stream ended unexpectedly');
      this.meter.fail(failure);
      if (this.order.isLasting) slot.openLater(() => this.#openIn(slot));
      else this.#onFailed(failure);
    });
  }
}
