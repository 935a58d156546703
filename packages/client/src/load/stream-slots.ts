import { ClientError } from '../client-error.ts';
import type { ClientHandler, ClientStream } from '../client-stream.ts';
import { openClientStream } from '../open-client-stream.ts';
import type { Load, LoadOrder } from './load.ts';
import type { Meter } from './meter.ts';
import { StreamSlot } from './stream-slot.ts';

/** The part of an order that concerns its streams as such. */
export type SlotOrder = Pick<
  LoadOrder,
  'route' | 'streams' | 'rampMs' | 'isLasting' | 'timeoutMs'
> & {
  readonly ratePerSecond?: number;
};

/** What a load does with a stream; its end is the slots' business. */
export type SlotHandler = Omit<ClientHandler, 'onClose'>;

/** How often late answers are looked for, at least. */
const checkIntervalMs = 250;

/**
 * The streams of one load: opens them, knows when all of them carry data and when all are closed,
 * and turns an early close into the load's failure, or into a failure that is counted.
 */
export class StreamSlots implements Load {
  readonly running: Promise<void>;
  readonly #order: SlotOrder;
  readonly #meter: Meter;
  readonly #handlerFor: (slot: StreamSlot) => SlotHandler;
  readonly #slots: readonly StreamSlot[];
  readonly #open = new Set<ClientStream>();
  readonly #checker: NodeJS.Timeout | undefined;
  #missing: number;
  #stopping = false;
  #onRunning = () => {};
  #onFailed: (error: Error) => void = () => {};
  #onEmpty = () => {};

  /** @param handlerFor called for each stream; what it writes goes to `slot.stream` */
  constructor(order: SlotOrder, meter: Meter, handlerFor: (slot: StreamSlot) => SlotHandler) {
    this.#order = order;
    this.#meter = meter;
    this.#handlerFor = handlerFor;
    this.#missing = order.streams;
    this.running = new Promise((resolve, reject) => {
      this.#onRunning = resolve;
      this.#onFailed = reject;
    });
    // Nobody may be waiting any more when a stream fails later on.
    this.running.catch(() => {});
    this.#slots = Array.from({ length: order.streams }, (_, at) => new StreamSlot(order, at));
    const { timeoutMs } = order;
    if (timeoutMs !== undefined) {
      this.#checker = setInterval(() => this.#checkWaiting(timeoutMs), checkIntervalMs);
    }
  }

  get stopping(): boolean {
    return this.#stopping;
  }

  /**
   * Opens the streams.
   * @param atOnce how many may be on their way at the same time; the next follows one that started
   */
  start(atOnce = this.#slots.length): this {
    const { rampMs = 0, streams } = this.#order;
    for (const [at, slot] of this.#slots.slice(0, atOnce).entries()) {
      slot.openLater(() => this.#openIn(slot), (rampMs * at) / streams);
    }
    this.#nextAt = atOnce;
    return this;
  }

  #nextAt = 0;

  /** A stream carries its first data. */
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
    const failure = reason ?? new ClientError('stream_lost', 'a stream ended by itself');
    this.#meter.fail(failure);
    if (this.#order.isLasting) slot.openLater(() => this.#openIn(slot));
    else this.#onFailed(failure);
  }

  #checkWaiting(timeoutMs: number): void {
    const nowMs = performance.now();
    for (const slot of this.#slots) slot.checkWaiting(nowMs, timeoutMs);
  }
}
