import { TunnelError } from '../wire/errors.ts';
import { INITIAL_WINDOW_BYTES } from '../wire/frame.ts';
import type { MemoryBudget, PoolShare } from './memory-budget.ts';

/** A window that half empties in less than this many round trips is what limits the stream. */
const LIMITING_ROUNDS = 1.5;
/** On loopback the event loop, not the wire, sets the pace: shorter round trips count as this. */
const LEAST_RTT_MS = 1;
/** Half a window that lasts longer than this is more than the consumer needs. */
const OVERSIZED_MS = 1_000;

/** A window without a grant for so long gives its share of the pool back, if others want it. */
const IDLE_MS = 10_000;

/** What all windows of a session share. */
export interface WindowLimits {
  readonly maxWindowBytes: number;
  readonly memory: MemoryBudget;
  /** Minimum round trip time; Infinity while unknown. */
  readonly minRttMs: number;
}

/**
 * The receiver's half of a stream's flow control (spec section 4): counts what the peer may still
 * send and what the consumer has not taken, and decides how much to grant.
 */
export class ReceiveWindow implements PoolShare {
  readonly #limits: WindowLimits;
  #windowBytes = INITIAL_WINDOW_BYTES;
  /** What is taken of the pool for this window: all beyond its first size, unless it was given back. */
  #shareBytes = 0;
  /** What the peer may still send. */
  #creditBytes = INITIAL_WINDOW_BYTES;
  /** Arrived, not taken by the consumer. */
  #heldBytes = 0;
  /** Taken by the consumer, not granted again. */
  #ungrantedBytes = 0;
  #grantedAtMs = 0;

  constructor(limits: WindowLimits) {
    this.#limits = limits;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  get windowBytes(): number {
    return this.#windowBytes;
  }

  /** @throws TunnelError `flow_control_error` beyond the credit (spec 4.3) */
  onReceived(bytes: number): void {
    this.#creditBytes -= bytes;
    if (this.#creditBytes < 0) {
      throw new TunnelError(
        'flow_control_error',
        `DATA exceeds the credit by ${-this.#creditBytes} bytes`,
      );
    }
    this.#heldBytes += bytes;
    this.#limits.memory.hold(bytes);
  }

  /** @returns the increment to send in a WINDOW frame now, or 0 */
  onConsumed(bytes: number): number {
    this.#heldBytes -= bytes;
    this.#limits.memory.release(bytes);
    this.#ungrantedBytes += bytes - this.#withheldOf(bytes);
    if (this.#ungrantedBytes < this.#windowBytes / this.#stepsPerWindow) return 0;
    const grant = this.#ungrantedBytes + this.#resize();
    this.#ungrantedBytes = 0;
    this.#creditBytes += grant;
    return grant;
  }

  /** Gives back everything that the window holds of the budget. */
  close(): void {
    this.#limits.memory.release(this.#heldBytes);
    this.#giveBack(this.#shareBytes);
    this.#heldBytes = 0;
    this.#windowBytes = INITIAL_WINDOW_BYTES;
  }

  /**
   * Asked when the pool is used up. A window that was not granted anew for long is more than its stream
   * needs at the moment, and its share goes to others. The credit stays with the peer: what it makes of it
   * counts when it is held, and is not granted again while the pool has no room (spec 4.5).
   */
  giveBackIfIdle(nowMs: number): void {
    if (nowMs - this.#grantedAtMs >= IDLE_MS) this.#giveBack(this.#shareBytes);
  }

  #giveBack(bytes: number): void {
    if (bytes === 0) return;
    this.#shareBytes -= bytes;
    this.#limits.memory.shrink(bytes);
    if (this.#shareBytes === 0) this.#limits.memory.deleteShare(this);
  }

  #take(bytes: number): boolean {
    if (!this.#limits.memory.tryGrow(bytes)) return false;
    if (this.#shareBytes === 0) this.#limits.memory.addShare(this);
    this.#shareBytes += bytes;
    return true;
  }

  /** How much of what was consumed is not to be granted, since the window's share was given back. */
  #withheldOf(bytes: number): number {
    const missing = this.#windowBytes - INITIAL_WINDOW_BYTES - this.#shareBytes;
    if (missing <= 0 || this.#take(missing)) return 0;
    const withheld = Math.min(bytes, missing);
    this.#windowBytes -= withheld;
    return withheld;
  }

  /**
   * Half a window at a time (spec 4.4). A window that cannot grow is granted in smaller steps, because
   * what is not granted yet lies idle.
   */
  get #stepsPerWindow(): number {
    return this.#windowBytes < this.#limits.maxWindowBytes ? 2 : 8;
  }

  /** Doubles a window that limits its stream, halves one that is far too large (spec 4.5). */
  #resize(): number {
    const nowMs = performance.now();
    const stepMs = nowMs - this.#grantedAtMs;
    const isFirst = this.#grantedAtMs === 0;
    this.#grantedAtMs = nowMs;
    const { maxWindowBytes, minRttMs } = this.#limits;
    if (isFirst || minRttMs === Infinity) return 0;
    const window = this.#windowBytes;
    /** What half a window takes at the pace of this step. */
    const tookMs = (stepMs * window) / 2 / this.#ungrantedBytes;
    if (tookMs < LIMITING_ROUNDS * Math.max(LEAST_RTT_MS, minRttMs)) {
      const growth = Math.min(window, maxWindowBytes - window);
      if (growth <= 0 || !this.#take(growth)) return 0;
      this.#windowBytes += growth;
      return growth;
    }
    if (tookMs > OVERSIZED_MS && tookMs > 16 * minRttMs && window > INITIAL_WINDOW_BYTES) {
      // No more than what this grant can withhold, and not below the first window.
      const shrink = Math.min(window >> 1, window - INITIAL_WINDOW_BYTES, this.#ungrantedBytes);
      this.#giveBack(Math.min(shrink, this.#shareBytes));
      this.#windowBytes -= shrink;
      return -shrink;
    }
    return 0;
  }
}
