/** What a peer can send at once before it must slow down. */
const BURST = 1_000;
const PER_SECOND = 200;

/**
 * Counts what a sane peer seldom sends and what costs us time or an answer: SETTINGS, PRIORITY, empty DATA, unknown
 * frames, malformed and refused requests (CVE-2019-9512, 9515, 9518; CVE-2025-8671).
 */
export class FloodGuard {
  #tokens = BURST;
  #filledAtMs = performance.now();

  /** @returns false if the peer has sent too many */
  take(): boolean {
    if (this.#tokens < 1) {
      const nowMs = performance.now();
      const earned = ((nowMs - this.#filledAtMs) / 1_000) * PER_SECOND;
      this.#filledAtMs = nowMs;
      this.#tokens = Math.min(BURST, this.#tokens + earned);
      if (this.#tokens < 1) return false;
    }
    this.#tokens--;
    return true;
  }
}
