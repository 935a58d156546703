export interface ReadinessOptions {
  /** How long no further agent may have come for the server to count as settled. */
  readonly settleMs: number;
  /** How long after the first agent it counts as settled anyway. */
  readonly settleTimeoutMs: number;
  /** Whether the first proxy strategy has a backend: what Konnectivity calls ready. */
  hasBackend(): boolean;
}

/** Somebody who asked within this time will ask again soon, and should see the server turn unready. */
export const RECENTLY_MS = 60_000;

/**
 * Whether clients should use this server.
 *
 * A server that has just started is not ready with the first agent: one of ten is not the fleet, and
 * requests for the other nine's targets would fail here while another server could serve them.
 */
export class Readiness {
  readonly #options: ReadinessOptions;
  #firstAgentAtMs: number | undefined;
  #lastAgentAtMs = 0;
  #askedAtMs = -Infinity;
  #isSettled = false;
  #isDraining = false;

  constructor(options: ReadinessOptions) {
    this.#options = options;
  }

  /** A tunnel came up. */
  onAgent(): void {
    this.#lastAgentAtMs = performance.now();
    this.#firstAgentAtMs ??= this.#lastAgentAtMs;
  }

  drain(): void {
    this.#isDraining = true;
  }

  /** Whether somebody makes decisions by `whyNotReady`. */
  get isWatched(): boolean {
    return performance.now() - this.#askedAtMs < RECENTLY_MS;
  }

  /** One line, or undefined if ready: the answer to somebody who makes decisions by it. */
  whyNotReady(): string | undefined {
    this.noteWatcher();
    return this.reason;
  }

  /** Somebody makes decisions by what was said. */
  noteWatcher(): void {
    this.#askedAtMs = performance.now();
  }

  /** The same for those whose question changes nothing. */
  get reason(): string | undefined {
    if (this.#isDraining) return 'the server is draining';
    if (!this.#options.hasBackend()) return 'no agent is connected that the first strategy can use';
    return this.#hasSettled() ? undefined : 'agents are still arriving';
  }

  #hasSettled(): boolean {
    const nowMs = performance.now();
    const { settleMs, settleTimeoutMs } = this.#options;
    this.#isSettled ||=
      nowMs - this.#lastAgentAtMs >= settleMs ||
      nowMs - (this.#firstAgentAtMs ?? nowMs) >= settleTimeoutMs;
    return this.#isSettled;
  }
}
