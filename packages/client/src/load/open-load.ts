import { ClientError } from '../client-error.ts';
import type { Load, LoadOrder } from './load.ts';
import type { Meter } from './meter.ts';
import { SlotLoad } from './slot-load.ts';
import type { StreamSlot } from './stream-slot.ts';
import { StreamSlots } from './stream-slots.ts';

const byte = Buffer.from('x');
/** Keeps all processes busy, and stays below a listener's backlog. */
const openingAtOnce = 64;

/**
 * Opens `streams` streams at once, sends a byte through each and closes it when the byte is back. The
 * latency covers opening and byte. The next stream is opened when the one before is closed.
 */
export function startOpens(order: LoadOrder, meter: Meter): Load {
  return new OpenLoad(order, meter);
}

class OpenLoad extends SlotLoad implements Load {
  readonly running: Promise<void>;
  #onRunning = () => {};

  constructor(order: LoadOrder, meter: Meter) {
    super(order, meter);
    this.running = new Promise((resolve) => {
      this.#onRunning = resolve;
    });
    const { streams, rampMs = 0 } = order;
    for (const [at, slot] of this.slots.entries()) {
      slot.openLater(() => this.#next(slot), (rampMs * at) / streams);
    }
  }

  #next(slot: StreamSlot): void {
    if (!this.stopping) slot.pace.next((sinceMs) => this.#openIn(slot, sinceMs));
  }

  #openIn(slot: StreamSlot, sinceMs: number): void {
    const { meter } = this;
    let isDone = false;
    const handler = {
      onOpen: () => slot.stream?.write(byte),
      onData: () => {
        if (isDone) return;
        isDone = true;
        slot.onAnswer();
        meter.latency.recordSince(sinceMs);
        slot.stream?.end();
      },
      onDrain() {},
    };
    this.open(slot, handler, (reason) => {
      if (isDone) {
        slot.onAnswer();
        meter.operations++;
        meter.bytes++;
        this.#onRunning();
      } else if (!this.stopping) {
        const text = 'closed before the byte came back';
        meter.fail(reason ?? new ClientError('stream_lost', text));
      }
      if (isDone || !this.order.isLasting) {
        // In the next tick, because a synchronous refusal would recurse.
        setImmediate(() => this.#next(slot));
      } else if (!this.stopping) {
        slot.openLater(() => this.#next(slot));
      }
    });
  }
}

/** Opens streams, a limited number at a time, and leaves them open. */
export function startIdle(order: LoadOrder, meter: Meter): Load {
  const slots: StreamSlots = new StreamSlots(order, meter, (slot) => ({
    onOpen: () => slot.stream?.write(byte),
    onData: () => slots.started(slot),
    onDrain() {},
  }));
  return slots.start(openingAtOnce);
}
