export interface TokenBucketOptions {
  /** At once. */
  readonly burst: number;
  /** And again every second. */
  readonly perSecond: number;
}

interface Bucket {
  tokens: number;
  refilledAtMs: number;
}

/** One token bucket per key. */
export class TokenBuckets {
  readonly #options: TokenBucketOptions;
  readonly #now: () => number;
  /** Holds those below their burst only, so that it cannot outgrow those who take. */
  readonly #buckets = new Map<string, Bucket>();

  /** @param now milliseconds on a clock that never goes back */
  constructor(options: TokenBucketOptions, now: () => number = () => performance.now()) {
    this.#options = options;
    this.#now = now;
  }

  /** Whether there is a token left. */
  has(key: string): boolean {
    const bucket = this.#refilled(key);
    return !bucket || bucket.tokens >= 1;
  }

  /** Takes a token, if there is one. */
  take(key: string): void {
    const bucket = this.#refilled(key);
    if (bucket) bucket.tokens = Math.max(0, bucket.tokens - 1);
    else {
      const tokens = this.#options.burst - 1;
      this.#buckets.set(key, { tokens, refilledAtMs: this.#now() });
    }
  }

  /** Forgets those who have long taken nothing; for keys that strangers choose. */
  sweep(): void {
    for (const key of [...this.#buckets.keys()]) this.#refilled(key);
  }

  /** The key's bucket as of now; undefined, and forgotten, when it is full. */
  #refilled(key: string): Bucket | undefined {
    const bucket = this.#buckets.get(key);
    if (!bucket) return undefined;
    const nowMs = this.#now();
    bucket.tokens += ((nowMs - bucket.refilledAtMs) / 1000) * this.#options.perSecond;
    bucket.refilledAtMs = nowMs;
    if (bucket.tokens < this.#options.burst) return bucket;
    this.#buckets.delete(key);
    return undefined;
  }
}
