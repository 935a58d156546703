/** How many dials one caller may start and give up. */
export interface AbandonLimitOptions {
  /** At once. */
  readonly burst: number;
  /** And again every second. */
  readonly perSecond: number;
}

/**
 * Far above what an API server does while a zone of its nodes is gone and every scrape times out,
 * and too little to keep a core busy.
 */
export const defaultAbandonLimit: AbandonLimitOptions = { burst: 10_000, perSecond: 1_000 };

interface Bucket {
  tokens: number;
  refilledAtMs: number;
}

/**
 * One token bucket per caller. A stream that is reset before its dial ended costs the client a
 * frame, and the server and an agent a dial: that is HTTP/2's rapid reset. A stream that ends after
 * its dial is as dear to the client as to us, and is not counted.
 */
export class AbandonLimit {
  readonly #options: AbandonLimitOptions;
  readonly #now: () => number;
  /** Holds the callers below their burst only, so it cannot outgrow those that misbehave. */
  readonly #buckets = new Map<string, Bucket>();

  /** @param now milliseconds on a clock that never goes back */
  constructor(options: AbandonLimitOptions, now: () => number = () => performance.now()) {
    this.#options = options;
    this.#now = now;
  }

  /** Whether the caller may start a dial. */
  allows(caller: string): boolean {
    const bucket = this.#refilled(caller);
    return !bucket || bucket.tokens >= 1;
  }

  /** Counts a dial that the caller gave up. */
  onAbandoned(caller: string): void {
    const bucket = this.#refilled(caller);
    if (bucket) bucket.tokens = Math.max(0, bucket.tokens - 1);
    else {
      const tokens = this.#options.burst - 1;
      this.#buckets.set(caller, { tokens, refilledAtMs: this.#now() });
    }
  }

  /** The caller's bucket as of now; undefined, and forgotten, when it is full. */
  #refilled(caller: string): Bucket | undefined {
    const bucket = this.#buckets.get(caller);
    if (!bucket) return undefined;
    const nowMs = this.#now();
    bucket.tokens += ((nowMs - bucket.refilledAtMs) / 1000) * this.#options.perSecond;
    bucket.refilledAtMs = nowMs;
    if (bucket.tokens < this.#options.burst) return bucket;
    this.#buckets.delete(caller);
    return undefined;
  }
}
