import type { LinkClock } from './link-clock.ts';

/** Where one connection's bytes leave the link. */
export interface LinkReceiver {
  onBytes(chunk: Buffer): void;
  onEnd(): void;
  onReset(): void;
  /** The link takes bytes again after `isFull`. */
  onRoom(): void;
}

export interface LinkDirectionOptions {
  /** Propagation delay, one way. */
  readonly delayMs: number;
  readonly bytesPerSecond: number;
  /** How many bytes may wait for their turn on the wire before `isFull`. */
  readonly queueBytes: number;
  readonly clock: LinkClock;
}

interface Item {
  readonly to: LinkReceiver;
  /** Bytes, or the sign that ends them. */
  readonly what: Buffer | 'end' | 'reset';
  /** Link time at which it comes out at the far end. */
  readonly dueMs: number;
}

const minSliceBytes = 1500;
const maxSliceBytes = 65_536;
/** Slices of about this duration keep the release smooth without many objects at high rates. */
const sliceMs = 1;
const compactAt = 1024;

/**
 * One direction of a link, shared by all its connections: a first-in-first-out queue in front of
 * a wire of limited rate, and the wire's propagation delay.
 *
 * Nothing is measured and nothing drifts: each slice gets, when it enters, the moment at which it
 * comes out, `max(now, wire is free) + length / rate + delay`. A timer then only has to come by.
 * Items are due in the order of the queue, as every connection has the same delay.
 */
export class LinkDirection {
  readonly #options: LinkDirectionOptions;
  readonly #bytesPerMs: number;
  readonly #sliceBytes: number;
  readonly #waiting = new Set<LinkReceiver>();
  // Items before #head are delivered; the array is cut when they are the larger part.
  #items: (Item | undefined)[] = [];
  #head = 0;
  #heldBytes = 0;
  /** Link time at which the wire has taken everything that was sent. */
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

  /** Bytes inside: waiting for the wire or on it. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Bytes that still wait for the wire. */
  get queuedBytes(): number {
    const waitMs = this.#wireFreeMs - this.#options.clock.now();
    return waitMs > 0 ? waitMs * this.#bytesPerMs : 0;
  }

  /** Whether senders should hold back until `onRoom`. */
  get isFull(): boolean {
    return this.queuedBytes > this.#options.queueBytes;
  }

  /** Puts bytes on the link; takes them also when it is full. */
  send(to: LinkReceiver, chunk: Buffer): void {
    for (let start = 0; start < chunk.length; start += this.#sliceBytes) {
      this.#push(to, chunk.subarray(start, start + this.#sliceBytes));
    }
    this.#schedule();
  }

  /** Puts the end behind the receiver's bytes. */
  sendEnd(to: LinkReceiver): void {
    this.#push(to, 'end');
    this.#schedule();
  }

  /** Puts a reset behind the receiver's bytes. */
  sendReset(to: LinkReceiver): void {
    this.#push(to, 'reset');
    this.#schedule();
  }

  /** Asks for one `onRoom`. */
  awaitRoom(receiver: LinkReceiver): void {
    this.#waiting.add(receiver);
    this.#schedule();
  }

  /** Goes on after the clock was started again. */
  wake(): void {
    this.#schedule();
  }

  /** Drops what is inside. */
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

  /** Sees to it that the timer comes by when there is something to do, not later. */
  #schedule(): void {
    if (this.#options.clock.stopped) return;
    const nextDueMs = this.#items[this.#head]?.dueMs ?? Number.POSITIVE_INFINITY;
    const roomMs = this.#waiting.size > 0 ? this.#roomMs() : Number.POSITIVE_INFINITY;
    const wantedMs = Math.min(nextDueMs, roomMs);
    if (wantedMs >= this.#timerMs) return;
    clearTimeout(this.#timer);
    this.#timerMs = wantedMs;
    this.#timer = setTimeout(this.#onTimer, Math.ceil(wantedMs - this.#options.clock.now()));
  }

  /** Link time at which the queue is short enough again. */
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
    this.#schedule();
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
