/** What a stream is let go on with at a time, so that those that wait take turns. */
const quantumBytes = 65_536;

/** How much of a second's bytes may go at once after a pause. */
const burstShare = 0.1;

/**
 * The rate of one direction of a tunnel. Bytes are counted when they have gone, so that the account may
 * be overdrawn; whoever then wants more waits in line until it is balanced.
 */
export class Pace {
  readonly #bytesPerMs: number;
  readonly #burstBytes: number;
  readonly #waiting: (() => void)[] = [];
  #balanceBytes: number;
  #balancedAtMs = performance.now();
  #timer: NodeJS.Timeout | undefined;

  constructor(bytesPerSecond: number) {
    this.#bytesPerMs = bytesPerSecond / 1000;
    this.#burstBytes = Math.max(quantumBytes, bytesPerSecond * burstShare);
    this.#balanceBytes = this.#burstBytes;
  }

  /** Counts bytes. @returns whether more may follow now; if not, see `whenFree` */
  spend(bytes: number): boolean {
    this.#refill();
    this.#balanceBytes -= bytes;
    return this.#balanceBytes > 0 && this.#waiting.length === 0;
  }

  /** Calls back, in the order of asking, when more may follow. */
  whenFree(onFree: () => void): void {
    this.#waiting.push(onFree);
    this.#arm();
  }

  #arm(): void {
    if (this.#timer || this.#waiting.length === 0) return;
    const waitMs = Math.max(1, (quantumBytes - this.#balanceBytes) / this.#bytesPerMs);
    this.#timer = setTimeout(() => this.#onTimer(), waitMs).unref();
  }

  #onTimer(): void {
    this.#timer = undefined;
    this.#refill();
    // Each is taken to use its quantum, which it will have done by the next time.
    const turns = Math.max(1, Math.floor(this.#balanceBytes / quantumBytes));
    for (const onFree of this.#waiting.splice(0, turns)) onFree();
    this.#arm();
  }

  #refill(): void {
    const nowMs = performance.now();
    const earned = (nowMs - this.#balancedAtMs) * this.#bytesPerMs;
    this.#balanceBytes = Math.min(this.#burstBytes, this.#balanceBytes + earned);
    this.#balancedAtMs = nowMs;
  }
}
