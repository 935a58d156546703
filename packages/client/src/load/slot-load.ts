import type { ClientHandler } from '../client-stream.ts';
import { openClientStream } from '../open-client-stream.ts';
import type { LoadOrder } from './load.ts';
import type { Meter } from './meter.ts';
import { StreamSlot } from './stream-slot.ts';

/** Interval of the search for late answers. */
const checkIntervalMs = 250;

/** What a load does with a stream, except for its end. */
export type SlotHandler = Omit<ClientHandler, 'onClose'>;

/** A load of streams in slots: it knows when all have ended, and destroys those whose answer is late. */
export class SlotLoad {
  protected readonly order: LoadOrder;
  protected readonly meter: Meter;
  protected readonly slots: readonly StreamSlot[];
  readonly #checker: NodeJS.Timeout | undefined;
  #openCount = 0;
  #stopping = false;
  #onEmpty = () => {};

  constructor(order: LoadOrder, meter: Meter) {
    this.order = order;
    this.meter = meter;
    this.slots = Array.from({ length: order.streams }, (_, at) => new StreamSlot(order, at));
    const { timeoutMs } = order;
    if (timeoutMs === undefined) return;
    this.#checker = setInterval(() => {
      const nowMs = performance.now();
      for (const slot of this.slots) slot.checkWaiting(nowMs, timeoutMs);
    }, checkIntervalMs);
  }

  get stopping(): boolean {
    return this.#stopping;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#checker);
    const empty = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
    for (const slot of this.slots) slot.stop();
    if (this.#openCount > 0) await empty;
  }

  /** Opens a stream in the slot. @param onEnd called with the reason of its end, if it failed */
  protected open(slot: StreamSlot, handler: SlotHandler, onEnd: (reason?: Error) => void): void {
    this.#openCount++;
    if (this.order.timeoutMs !== undefined) slot.waitingSinceMs = performance.now();
    slot.stream = openClientStream(this.order.route, {
      ...handler,
      onClose: (error) => {
        this.#openCount--;
        onEnd(slot.onClosed() ?? error);
        if (this.#stopping && this.#openCount === 0) this.#onEmpty();
      },
    });
  }
}
