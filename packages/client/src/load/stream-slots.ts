import { ClientError } from '../client-error.ts';
import type { ClientHandler, ClientStream } from '../client-stream.ts';
import { openClientStream } from '../open-client-stream.ts';
import type { Load, LoadOrder } from './load.ts';
import type { Meter } from './meter.ts';
import { StreamSlot, watchLateAnswers } from './stream-slot.ts';

/** What a load does with a stream. `StreamSlots` handles its end. */
type SlotHandler = Omit<ClientHandler, 'onClose'>;

/**
 * The streams of one load. It opens them, and knows when all of them carry data and when all have ended.
 * A stream that ends early is a failure: it is counted, and rejects `running` unless the load is lasting.
 */
export class StreamSlots implements Load {
  readonly running: Promise<void>;
  readonly #order: LoadOrder;
  readonly #meter: Meter;
  readonly #handlerFor: (slot: StreamSlot) => SlotHandler;
  readonly #slots: readonly StreamSlot[];
  readonly #open = new Set<ClientStream>();
  readonly #checker: NodeJS.Timeout | undefined;
  #missing: number;
  /** Index of the slot that is opened when the next stream has started. */
  #nextAt = 0;
  #stopping = false;
  #onRunning = () => {};
  #onFailed: (error: Error) => void = () => {};
  #onEmpty = () => {};

  /** @param handlerFor called for each stream; it writes to `slot.stream` */
  constructor(order: LoadOrder, meter: Meter, handlerFor: (slot: StreamSlot) => SlotHandler) {
    this.#order = order;
    this.#meter = meter;
    this.#handlerFor = handlerFor;
    this.#missing = order.streams;
    this.running = new Promise((resolve, reject) => {
      this.#onRunning = resolve;
      this.#onFailed = reject;
    });
    // A stream can fail when `running` is no longer awaited.
    this.running.catch(() => {});
    this.#slots = Array.from({ length: order.streams }, (_, at) => new StreamSlot(order, at));
    this.#checker = watchLateAnswers(this.#slots, order.timeoutMs);
  }

  get stopping(): boolean {
    return this.#stopping;
  }

  /**
   * Opens the streams.
   * @param atOnce how many are opened at the same time; the next one is opened when one has started
   */
  start(atOnce = this.#slots.length): this {
    const { rampMs = 0, streams } = this.#order;
    for (const [at, slot] of this.#slots.slice(0, atOnce).entries()) {
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
    const following = this.#slots[this.#nextAt++];
    if (following && !this.#stopping) this.#openIn(following);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#checker);
    const empty = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
    for (const slot of this.#slots) slot.stop();
    if (this.#open.size > 0) await empty;
  }

  #openIn(slot: StreamSlot): void {
    if (this.#stopping) return;
    if (this.#order.timeoutMs !== undefined) slot.waitingSinceMs = performance.now();
    const handler = this.#handlerFor(slot);
    const stream = openClientStream(this.#order.route, {
      onOpen: () => handler.onOpen(),
      onData: (chunk) => handler.onData(chunk),
      onDrain: () => handler.onDrain(),
      onClose: (error) => this.#onClosed(slot, stream, error),
    });
    slot.stream = stream;
    this.#open.add(stream);
  }

  #onClosed(slot: StreamSlot, stream: ClientStream, error: Error | undefined): void {
    this.#open.delete(stream);
    const reason = slot.onClosed() ?? error;
    if (this.#stopping) {
      if (this.#open.size === 0) this.#onEmpty();
      return;
    }
    const failure = reason ?? new ClientError('stream_lost', 'the stream ended unexpectedly');
    this.#meter.fail(failure);
    if (this.#order.isLasting) slot.openLater(() => this.#openIn(slot));
    else this.#onFailed(failure);
  }
}
