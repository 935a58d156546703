import type { LinkClock } from './link-clock.ts';

/** Receives the bytes of one connection at the end of the link. */
export interface LinkReceiver {
  onBytes(chunk: Buffer): void;
  onEnd(): void;
  onReset(): void;
  /** The link accepts bytes again after `isFull`. */
  onRoom(): void;
}

export interface LinkDirectionOptions {
  /** Propagation delay, one way. */
  readonly delayMs: number;
  readonly bytesPerSecond: number;
  /** Number of bytes that can wait for the wire before `isFull`. */
  readonly queueBytes: number;
  readonly clock: LinkClock;
}

interface Item {
  readonly to: LinkReceiver;
  readonly what: Buffer | 'end' | 'reset';
  /** Link time at which it leaves the link. */
  readonly dueMs: number;
}

const minSliceBytes = 1500;
const maxSliceBytes = 65_536;
/** Duration of a slice. Smooth enough, without many objects at high rates. */
const sliceMs = 1;
const compactAt = 1024;

/**
 * One direction of a link, shared by all its connections: a FIFO queue, a wire of limited rate, and the
 * wire's propagation delay.
 *
 * When a slice enters, the time at which it leaves is `max(now, wire is free) + length / rate + delay`. A
 * timer then releases it, so that no error adds up. Items leave in the order of the queue, because all
 * connections have the same delay.
 */
export class LinkDirection {
  readonly #options: LinkDirectionOptions;
  readonly #bytesPerMs: number;
  readonly #sliceBytes: number;
  readonly #waiting = new Set<LinkReceiver>();
  // Items before #head are delivered. The array is cut when they are the larger part.
  #items: (Item | undefined)[] = [];
  #head = 0;
  #heldBytes = 0;
  /** Link time at which the wire is free. */
  #wireFreeMs = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Link time for which the timer is set. */
  #timerMs = Number.POSITIVE_INFINITY;

  constructor(options: LinkDirectionOptions) {
    this.#options = options;
    this.#bytesPerMs = options.bytesPerSecond / 1000;
    this.#sliceBytes = Math.min(
      Math.max(Math.round(this.#bytesPerMs * sliceMs), minSliceBytes),
      maxSliceBytes,
    );
  }

  /** Bytes in the link: in the queue or on the wire. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  get queuedBytes(): number {
    const waitMs = this.#wireFreeMs - this.#options.clock.now();
    return waitMs > 0 ? waitMs * this.#bytesPerMs : 0;
  }

  /** Whether senders must wait for `onRoom`. */
  get isFull(): boolean {
    return this.queuedBytes > this.#options.queueBytes;
  }

  /** Adds bytes, even if the link is full, or an end or a reset after them. */
  send(to: LinkReceiver, what: Item['what']): void {
    if (typeof what === 'string') this.#push(to, what);
    else {
      for (let start = 0; start < what.length; start += this.#sliceBytes) {
        this.#push(to, what.subarray(start, start + this.#sliceBytes));
      }
    }
    this.wake();
  }

  awaitRoom(receiver: LinkReceiver): void {
    this.#waiting.add(receiver);
    this.wake();
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#timerMs = Number.POSITIVE_INFINITY;
    this.#items = [];
    this.#head = 0;
    this.#heldBytes = 0;
    this.#wireFreeMs = 0;
    this.#waiting.clear();
  }

  #push(to: LinkReceiver, what: Item['what']): void {
    const length = typeof what === 'string' ? 0 : what.length;
    const now = this.#options.clock.now();
    this.#wireFreeMs = Math.max(now, this.#wireFreeMs) + length / this.#bytesPerMs;
    this.#heldBytes += length;
    this.#items.push({ to, what, dueMs: this.#wireFreeMs + this.#options.delayMs });
  }

  /** Sets the timer for the next item or the next `onRoom`. Called also when the clock runs again. */
  wake(): void {
    if (this.#options.clock.stopped) return;
    const nextDueMs = this.#items[this.#head]?.dueMs ?? Number.POSITIVE_INFINITY;
    const roomMs = this.#waiting.size > 0 ? this.#roomMs() : Number.POSITIVE_INFINITY;
    const wantedMs = Math.min(nextDueMs, roomMs);
    if (wantedMs >= this.#timerMs) return;
    clearTimeout(this.#timer);
    this.#timerMs = wantedMs;
    this.#timer = setTimeout(this.#onTimer, Math.ceil(wantedMs - this.#options.clock.now()));
  }

  /** Link time at which the queue has room again. */
  #roomMs(): number {
    return this.#wireFreeMs - this.#options.queueBytes / this.#bytesPerMs;
  }

  #onTimer = (): void => {
    this.#timerMs = Number.POSITIVE_INFINITY;
    if (this.#options.clock.stopped) return;
    this.#deliverDue();
    if (this.#waiting.size > 0 && !this.isFull) {
      const waiting = [...this.#waiting];
      this.#waiting.clear();
      for (const receiver of waiting) receiver.onRoom();
    }
    this.wake();
  };

  #deliverDue(): void {
    const now = this.#options.clock.now();
    for (;;) {
      const item = this.#items[this.#head];
      if (!item || item.dueMs > now) break;
      this.#items[this.#head++] = undefined;
      if (item.what === 'end') item.to.onEnd();
      else if (item.what === 'reset') item.to.onReset();
      else {
        this.#heldBytes -= item.what.length;
        item.to.onBytes(item.what);
      }
    }
    if (this.#head >= compactAt && this.#head * 2 >= this.#items.length) {
      this.#items.splice(0, this.#head);
      this.#head = 0;
    }
  }
}
