/** A tunnel that was silent for this long is asked for a sign of life when a stream is opened (spec 7.3). */
const SILENT_MS = 1_000;
/** How long it has to give one before waiting streams are tried elsewhere. */
const ANSWER_MS = 2_000;
/** A timer this late means that this process stood still, not the peer. */
const LATE_MS = 1_000;

export interface LivenessOptions {
  /** Idle time after which a PING is sent. */
  readonly pingIntervalMs: number;
  /** Further time without a byte after which the tunnel is lost. */
  readonly pingTimeoutMs: number;
}

export interface LivenessHandler {
  sendPing(): void;
  /** The peer gave no sign of life for interval + timeout. */
  onLost(): void;
  /** Whether streams wait for OPENED. */
  isAwaited(): boolean;
  /** Streams wait for OPENED and the peer did not react to a PING. */
  onUnresponsive(): void;
  /** A PING stays unanswered (spec 7.6), or the peer was heard again after that. */
  onSilence?(isSilent: boolean): void;
}

/** Watches for signs of life (spec section 7). */
export class Liveness {
  readonly #options: LivenessOptions;
  readonly #handler: LivenessHandler;
  #heardAtMs = performance.now();
  /** When the latest PING left; it is unanswered while no byte came since. */
  #pingedAtMs = -Infinity;
  #dueAtMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #probeTimer: NodeJS.Timeout | undefined;
  #probeSentAtMs: number | undefined;
  #isSilent = false;

  constructor(options: LivenessOptions, handler: LivenessHandler) {
    this.#options = options;
    this.#handler = handler;
    this.#wait(options.pingIntervalMs);
  }

  /** Milliseconds since the last received byte. */
  get silentMs(): number {
    return performance.now() - this.#heardAtMs;
  }

  /** Whether a PING has been unanswered for so long that the peer should not be relied on (spec 7.6). */
  get isSilent(): boolean {
    return this.#isSilent;
  }

  /** Any received byte. */
  onBytes(): void {
    this.#heardAtMs = performance.now();
    if (this.#isSilent) this.#setSilent(false);
  }

  /** Asks for a sign of life now, unless one is asked for already. */
  ask(): void {
    if (this.#heardAtMs < this.#pingedAtMs) return;
    clearTimeout(this.#timer);
    this.#ping();
  }

  /** A stream was opened: its answer, or a sign of life, is expected soon (spec 7.3). */
  expectAnswer(): void {
    if (this.#probeTimer === undefined) this.#probe();
  }

  stop(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#probeTimer);
  }

  #wait(ms: number): void {
    this.#dueAtMs = performance.now() + ms;
    this.#timer = setTimeout(() => this.#onTimer(), ms);
    this.#timer.unref();
  }

  #onTimer(): void {
    const { pingIntervalMs, pingTimeoutMs } = this.#options;
    const nowMs = performance.now();
    const isAnswered = this.#heardAtMs >= this.#pingedAtMs;
    const { silentMs } = this;
    if (isAnswered && silentMs < pingIntervalMs) return this.#wait(pingIntervalMs - silentMs);
    // What arrived while this process stood still has not been read yet.
    if (isAnswered || nowMs - this.#dueAtMs > LATE_MS) {
      return this.#ping();
    }
    if (nowMs - this.#pingedAtMs >= ANSWER_MS) this.#setSilent(true);
    const leftMs = this.#pingedAtMs + pingTimeoutMs - nowMs;
    // An answer starts a new interval, which may end before the timeout would have.
    if (leftMs > 0) return this.#wait(Math.min(pingIntervalMs, leftMs));
    this.#handler.onLost();
  }

  #ping(): void {
    const { pingIntervalMs, pingTimeoutMs } = this.#options;
    this.#pingedAtMs = performance.now();
    this.#handler.sendPing();
    this.#wait(Math.min(ANSWER_MS, pingIntervalMs, pingTimeoutMs));
  }

  #setSilent(isSilent: boolean): void {
    if (this.#isSilent === isSilent) return;
    this.#isSilent = isSilent;
    this.#handler.onSilence?.(isSilent);
  }

  #probe(): void {
    const silentMs = this.silentMs;
    const sentAtMs = this.#probeSentAtMs;
    if (sentAtMs !== undefined && this.#heardAtMs < sentAtMs) {
      this.#probeTimer = this.#probeSentAtMs = undefined;
      // First, so that what is tried elsewhere does not come back here.
      this.#setSilent(true);
      return this.#handler.onUnresponsive();
    }
    this.#probeSentAtMs = undefined;
    if (silentMs < SILENT_MS) return this.#probeIn(SILENT_MS - silentMs);
    this.#handler.sendPing();
    this.#probeSentAtMs = performance.now();
    this.#probeIn(ANSWER_MS);
  }

  #probeIn(ms: number): void {
    const dueAtMs = performance.now() + ms;
    this.#probeTimer = setTimeout(() => {
      this.#probeTimer = undefined;
      if (!this.#handler.isAwaited()) {
        this.#probeSentAtMs = undefined;
      } else if (performance.now() - dueAtMs > LATE_MS) {
        // What arrived while this process stood still is read first.
        this.#probeIn(SILENT_MS);
      } else {
        this.#probe();
      }
    }, ms);
    this.#probeTimer.unref();
  }
}
