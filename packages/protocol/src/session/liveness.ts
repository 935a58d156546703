/** If a stream is opened on a tunnel that was silent for this long, a PING is sent (spec 7.3). */
const SILENT_MS = 1_000;
/** How long the peer may take to answer before waiting streams are tried elsewhere. */
const ANSWER_MS = 2_000;
/** If a timer is this late, this process was suspended, not the peer. */
const LATE_MS = 1_000;

export interface LivenessOptions {
  /** Idle time after which a PING is sent; default 10 s. */
  readonly pingIntervalMs?: number | undefined;
  /** Further time without a byte after which the tunnel is lost; default 20 s. */
  readonly pingTimeoutMs?: number | undefined;
}

export interface LivenessHandler {
  sendPing(): void;
  /** No byte arrived for interval and timeout. */
  onLost(): void;
  /** Whether streams wait for OPENED. */
  isAwaited(): boolean;
  /** Streams wait for OPENED, and the peer did not react to a PING. */
  onUnresponsive(): void;
  /** The peer has left a PING unanswered (spec 7.6), or has sent a byte after that. */
  onSilence?(isSilent: boolean): void;
}

/** Watches whether the peer still sends (spec section 7). */
export class Liveness {
  readonly #pingIntervalMs: number;
  readonly #pingTimeoutMs: number;
  readonly #handler: LivenessHandler;
  /** When the latest byte arrived. */
  #receivedAtMs = performance.now();
  /** When the latest PING was sent. It is unanswered until a byte arrives. */
  #pingedAtMs = -Infinity;
  #dueAtMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #probeTimer: NodeJS.Timeout | undefined;
  #probeSentAtMs: number | undefined;
  #isSilent = false;

  constructor(options: LivenessOptions, handler: LivenessHandler) {
    this.#pingIntervalMs = options.pingIntervalMs ?? 10_000;
    this.#pingTimeoutMs = options.pingTimeoutMs ?? 20_000;
    this.#handler = handler;
  }

  /** Starts the timers. */
  start(): void {
    this.#wait(this.#pingIntervalMs);
  }

  /** Milliseconds since the latest received byte. */
  get silentMs(): number {
    return performance.now() - this.#receivedAtMs;
  }

  /** Whether the peer has left a PING unanswered, so that other peers are preferred (spec 7.6). */
  get isSilent(): boolean {
    return this.#isSilent;
  }

  /** Records any received bytes. */
  onBytes(): void {
    this.#receivedAtMs = performance.now();
    if (this.#isSilent) this.#setSilent(false);
  }

  /** Sends a PING now, unless one is unanswered. */
  ping(): void {
    if (this.#receivedAtMs < this.#pingedAtMs) return;
    clearTimeout(this.#timer);
    this.#sendPing();
  }

  /** A stream was opened. Its answer, or another byte, is expected soon (spec 7.3). */
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
    const pingIntervalMs = this.#pingIntervalMs;
    const nowMs = performance.now();
    const isAnswered = this.#receivedAtMs >= this.#pingedAtMs;
    const { silentMs } = this;
    if (isAnswered && silentMs < pingIntervalMs) return this.#wait(pingIntervalMs - silentMs);
    // Bytes that arrived while this process was suspended have not been read yet.
    if (isAnswered || nowMs - this.#dueAtMs > LATE_MS) return this.#sendPing();
    if (nowMs - this.#pingedAtMs >= ANSWER_MS) this.#setSilent(true);
    const leftMs = this.#pingedAtMs + this.#pingTimeoutMs - nowMs;
    // An answer starts a new interval, which can end before this timeout.
    if (leftMs > 0) return this.#wait(Math.min(pingIntervalMs, leftMs));
    this.#handler.onLost();
  }

  #sendPing(): void {
    this.#pingedAtMs = performance.now();
    this.#handler.sendPing();
    this.#wait(Math.min(ANSWER_MS, this.#pingIntervalMs, this.#pingTimeoutMs));
  }

  #setSilent(isSilent: boolean): void {
    if (this.#isSilent === isSilent) return;
    this.#isSilent = isSilent;
    this.#handler.onSilence?.(isSilent);
  }

  #probe(): void {
    const silentMs = this.silentMs;
    const sentAtMs = this.#probeSentAtMs;
    if (sentAtMs !== undefined && this.#receivedAtMs < sentAtMs) {
      this.#probeTimer = this.#probeSentAtMs = undefined;
      // First, so that streams that are tried elsewhere do not come back here.
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
        // Bytes that arrived while this process was suspended are read first.
        this.#probeIn(SILENT_MS);
      } else {
        this.#probe();
      }
    }, ms);
    this.#probeTimer.unref();
  }
}
