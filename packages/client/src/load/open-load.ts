import { ClientError } from '../client-error.ts';
import { openClientStream } from '../open-client-stream.ts';
import type { Load, LoadOrder } from './load.ts';
import type { Meter } from './meter.ts';
import { StreamSlot, watchLateAnswers } from './stream-slot.ts';
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

class OpenLoad implements Load {
  readonly running: Promise<void>;
  readonly #order: LoadOrder;
  readonly #meter: Meter;
  readonly #slots: readonly StreamSlot[];
  readonly #checker: NodeJS.Timeout | undefined;
  #openCount = 0;
  #stopping = false;
  #onRunning = () => {};
  #onEmpty = () => {};

  constructor(order: LoadOrder, meter: Meter) {
    this.#order = order;
    this.#meter = meter;
    this.running = new Promise((resolve) => {
      this.#onRunning = resolve;
    });
    const { streams, rampMs = 0, timeoutMs } = order;
    this.#slots = Array.from({ length: streams }, (_, at) => new StreamSlot(order, at));
    for (const [at, slot] of this.#slots.entries()) {
      slot.openLater(() => this.#next(slot), (rampMs * at) / streams);
    }
    this.#checker = watchLateAnswers(this.#slots, timeoutMs);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#checker);
    const empty = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
    for (const slot of this.#slots) slot.stop();
    if (this.#openCount > 0) await empty;
  }

  #next(slot: StreamSlot): void {
    if (!this.#stopping) slot.pace.next((sinceMs) => this.#openStream(slot, sinceMs));
  }

  #openStream(slot: StreamSlot, sinceMs: number): void {
    const meter = this.#meter;
    let isDone = false;
    slot.waitingSinceMs = performance.now();
    this.#openCount++;
    slot.stream = openClientStream(this.#order.route, {
      onOpen: () => slot.stream?.write(byte),
      onData: () => {
        if (isDone) return;
        isDone = true;
        slot.onAnswer();
        meter.latency.recordSince(sinceMs);
        slot.stream?.end();
      },
      onDrain() {},
      onClose: (error) => {
        this.#openCount--;
        const reason = slot.onClosed() ?? error;
        if (isDone) {
          slot.onAnswer();
          meter.operations++;
          meter.bytes++;
          this.#onRunning();
        } else if (!this.#stopping) {
          const text = 'closed before the byte came back';
          meter.fail(reason ?? new ClientError('stream_lost', text));
        }
        if (this.#stopping) {
          if (this.#openCount === 0) this.#onEmpty();
        } else if (isDone || !this.#order.isLasting) {
          // In the next tick, because a synchronous refusal would recurse.
          setImmediate(() => this.#next(slot));
        } else {
          slot.openLater(() => this.#next(slot));
        }
      },
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
