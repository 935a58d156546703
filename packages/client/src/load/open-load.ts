import { ClientError } from '../client-error.ts';
import { openClientStream } from '../open-client-stream.ts';
import type { Load, LoadOrder, OpenLoadOrder } from './load.ts';
import type { Meter } from './meter.ts';
import { StreamSlot } from './stream-slot.ts';
import { StreamSlots } from './stream-slots.ts';

type IdleLoadOrder = Extract<LoadOrder, { kind: 'idle' }>;

const byte = Buffer.from('x');
/** Enough to keep all processes busy without overrunning a listener's backlog. */
const openingAtOnce = 64;
/** How often late answers are looked for. */
const checkIntervalMs = 250;

/**
 * Keeps `streams` at once in the circle open, one byte out and back, close. The latency is that
 * of open and byte; a circle is complete, and the next begins, when the stream is closed.
 */
export function startOpens(order: OpenLoadOrder, meter: Meter): Load {
  return new OpenLoad(order, meter);
}

class OpenLoad implements Load {
  readonly running: Promise<void>;
  readonly #order: OpenLoadOrder;
  readonly #meter: Meter;
  readonly #slots: readonly StreamSlot[];
  readonly #checker: NodeJS.Timeout | undefined;
  #openCount = 0;
  #stopping = false;
  #onRunning = () => {};
  #onEmpty = () => {};

  constructor(order: OpenLoadOrder, meter: Meter) {
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
    if (timeoutMs !== undefined) {
      this.#checker = setInterval(() => {
        const nowMs = performance.now();
        for (const slot of this.#slots) slot.checkWaiting(nowMs, timeoutMs);
      }, checkIntervalMs);
    }
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
    if (!this.#stopping) slot.pace.next((sinceMs) => this.#circle(slot, sinceMs));
  }

  #circle(slot: StreamSlot, sinceMs: number): void {
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
          // Not at once: a refusal that comes synchronously would recurse.
          setImmediate(() => this.#next(slot));
        } else {
          slot.openLater(() => this.#next(slot));
        }
      },
    });
  }
}

/** Opens streams, a limited number at a time, and keeps them. */
export function startIdle(order: IdleLoadOrder, meter: Meter): Load {
  const slots: StreamSlots = new StreamSlots(order, meter, (slot) => ({
    onOpen: () => slot.stream?.write(byte),
    onData: () => slots.started(slot),
    onDrain() {},
  }));
  return slots.start(openingAtOnce);
}
