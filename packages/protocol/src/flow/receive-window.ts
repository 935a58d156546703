import { TunnelError } from '../wire/errors.ts';
import { INITIAL_WINDOW_BYTES } from '../wire/frame.ts';
import type { MemoryBudget, PoolShare } from './memory-budget.ts';

/** If half a window empties in less than this many round trips, the window limits the stream. */
const LIMITING_ROUNDS = 1.5;
/** Shorter round trips count as this: on loopback, the event loop sets the pace, not the network. */
const MIN_RTT_MS = 1;
/** If half a window lasts longer than this, the window is larger than the consumer needs. */
const OVERSIZED_MS = 1_000;

/** A window that got no grant for this long returns its share of the pool if others want it. */
const IDLE_MS = 10_000;

/** What the windows of a session have in common. */
export interface WindowLimits {
  readonly maxWindowBytes: number;
  readonly memory: MemoryBudget;
  /** Minimum round trip time; Infinity while unknown. */
  readonly minRttMs: number;
}

/**
 * The receiver's side of a stream's flow control (spec section 4). It counts what the peer may still send and what the
 * consumer has not taken, and decides how much credit to grant.
 */
export class ReceiveWindow implements PoolShare {
  readonly #limits: WindowLimits;
  #windowBytes = INITIAL_WINDOW_BYTES;
  /** Taken from the pool for this window: all beyond its first size, unless it was returned. */
  #shareBytes = 0;
  /** What the peer may still send. */
  #creditBytes = INITIAL_WINDOW_BYTES;
  /** Arrived and not taken by the consumer. */
  #heldBytes = 0;
  /** Taken by the consumer and not granted again. */
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
    this.#ungrantedBytes += bytes - this.#withhold(bytes);
    if (this.#ungrantedBytes < this.#windowBytes / this.#stepsPerWindow) return 0;
    const grant = this.#ungrantedBytes + this.#resize();
    this.#ungrantedBytes = 0;
    this.#creditBytes += grant;
    return grant;
  }

  /** Returns all that the window holds of the budget. */
  close(): void {
    this.#limits.memory.release(this.#heldBytes);
    this.#returnShare(this.#shareBytes);
    this.#heldBytes = 0;
    this.#windowBytes = INITIAL_WINDOW_BYTES;
  }

  /**
   * Called when the pool is used up. If a window got no grant for long, its stream does not need it at the moment, and
   * its share goes to others. The peer keeps its credit. What it sends with it counts as held, and is not granted
   * again while the pool has no room (spec 4.5).
   */
  returnIfIdle(nowMs: number): void {
    if (nowMs - this.#grantedAtMs >= IDLE_MS) this.#returnShare(this.#shareBytes);
  }

  #returnShare(bytes: number): void {
    this.#shareBytes -= bytes;
    this.#limits.memory.shrink(bytes);
    if (this.#shareBytes === 0) this.#limits.memory.deleteShare(this);
  }

  #takeShare(bytes: number): boolean {
    if (!this.#limits.memory.tryGrow(bytes)) return false;
    this.#limits.memory.addShare(this);
    this.#shareBytes += bytes;
    return true;
  }

  /** How many of the consumed bytes are not granted again, because the window's share was returned. */
  #withhold(bytes: number): number {
    const missing = this.#windowBytes - INITIAL_WINDOW_BYTES - this.#shareBytes;
    if (missing <= 0 || this.#takeShare(missing)) return 0;
    const withheld = Math.min(bytes, missing);
    this.#windowBytes -= withheld;
    return withheld;
  }

  /** Grants are half a window each (spec 4.4). They are smaller if the window cannot grow, so that less of it is idle. */
  get #stepsPerWindow(): number {
    return this.#windowBytes < this.#limits.maxWindowBytes ? 2 : 8;
  }

  /** Doubles a window that limits its stream and halves one that is far too large (spec 4.5). @returns the change */
  #resize(): number {
    const nowMs = performance.now();
    const stepMs = nowMs - this.#grantedAtMs;
    const isFirst = this.#grantedAtMs === 0;
    this.#grantedAtMs = nowMs;
    const { maxWindowBytes, minRttMs } = this.#limits;
    if (isFirst || minRttMs === Infinity) return 0;
    const window = this.#windowBytes;
    // How long half a window lasts at the pace of this step.
    const tookMs = (stepMs * window) / 2 / this.#ungrantedBytes;
    if (tookMs < LIMITING_ROUNDS * Math.max(MIN_RTT_MS, minRttMs)) {
      const growth = Math.min(window, maxWindowBytes - window);
      if (growth <= 0 || !this.#takeShare(growth)) return 0;
      this.#windowBytes += growth;
      return growth;
    }
    if (tookMs > OVERSIZED_MS && tookMs > 16 * minRttMs) {
      // At most what this grant can withhold, and not below the first window.
      const shrink = Math.min(window >> 1, window - INITIAL_WINDOW_BYTES, this.#ungrantedBytes);
      this.#returnShare(Math.min(shrink, this.#shareBytes));
      this.#windowBytes -= shrink;
      return -shrink;
    }
    return 0;
  }
}
