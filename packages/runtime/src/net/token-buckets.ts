export interface TokenBucketOptions {
  /** Tokens in a full bucket. */
  readonly burst: number;
  readonly perSecond: number;
}

/** One token bucket per key. */
export class TokenBuckets {
  readonly #options: TokenBucketOptions;
  /** Full buckets are not stored, which bounds the map to recently used keys. */
  readonly #buckets = new Map<string, { tokens: number; refilledAtMs: number }>();

  constructor(options: TokenBucketOptions) {
    this.#options = options;
  }

  has(key: string): boolean {
    const bucket = this.#refilled(key);
    return !bucket || bucket.tokens >= 1;
  }

  /** Takes a token if one is left. */
  take(key: string): void {
    const bucket = this.#refilled(key);
    if (bucket) bucket.tokens = Math.max(0, bucket.tokens - 1);
    else {
      const tokens = this.#options.burst - 1;
      this.#buckets.set(key, { tokens, refilledAtMs: performance.now() });
    }
  }

  /** Drops full buckets. Call it from time to time if peers choose the keys. */
  sweep(): void {
    for (const key of [...this.#buckets.keys()]) this.#refilled(key);
  }

  /** Refills the key's bucket; undefined, and dropped, if it is full. */
  #refilled(key: string): { tokens: number } | undefined {
    const bucket = this.#buckets.get(key);
    if (!bucket) return undefined;
    const nowMs = performance.now();
    bucket.tokens += ((nowMs - bucket.refilledAtMs) / 1000) * this.#options.perSecond;
    bucket.refilledAtMs = nowMs;
    if (bucket.tokens < this.#options.burst) return bucket;
    this.#buckets.delete(key);
    return undefined;
  }
}
