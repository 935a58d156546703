export interface ReadinessOptions {
  /** The server is settled once no further agent has connected for this long. */
  readonly settleMs: number;
  /** At the latest, it is settled this long after the first agent. */
  readonly settleTimeoutMs: number;
  /** Whether the first proxy strategy has a backend, which is Konnectivity's readiness. */
  hasBackend(): boolean;
}

/** A prober that asked within this time will ask again soon, and should see the server become unready. */
export const PROBE_MEMORY_MS = 60_000;

/**
 * Whether clients should use this server.
 *
 * A server that has just started is not ready with its first agent: requests for the targets of the other agents
 * would fail here, while another server can serve them.
 */
export class Readiness {
  readonly #options: ReadinessOptions;
  #firstAgentAtMs: number | undefined;
  #lastAgentAtMs = 0;
  #probedAtMs = -Infinity;
  #isSettled = false;
  isDraining = false;

  constructor(options: ReadinessOptions) {
    this.#options = options;
  }

  onAgent(): void {
    this.#lastAgentAtMs = performance.now();
    this.#firstAgentAtMs ??= this.#lastAgentAtMs;
  }

  drain(): void {
    this.isDraining = true;
  }

  /** Whether probes use `whyNotReady`. */
  get isWatched(): boolean {
    return performance.now() - this.#probedAtMs < PROBE_MEMORY_MS;
  }

  /** The answer to a probe that directs clients: one line, or undefined if ready. */
  whyNotReady(): string | undefined {
    this.noteProbe();
    return this.reason;
  }

  noteProbe(): void {
    this.#probedAtMs = performance.now();
  }

  /** The same for a status display. */
  get reason(): string | undefined {
    if (this.isDraining) return 'the server is draining';
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
