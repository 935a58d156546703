import { type TokenBucketOptions, TokenBuckets } from '@fairlead/runtime/net';

/** How many dials one caller may start and give up. */
export type AbandonLimitOptions = TokenBucketOptions;

/**
 * Far above what an API server does while a zone of its nodes is gone and every scrape times out,
 * and too little to keep a core busy.
 */
export const defaultAbandonLimit: AbandonLimitOptions = { burst: 10_000, perSecond: 1_000 };

/**
 * One token bucket per caller. A stream that is reset before its dial ended costs the client a
 * frame, and the server and an agent a dial: that is HTTP/2's rapid reset. A stream that ends after
 * its dial is as dear to the client as to us, and is not counted.
 */
export class AbandonLimit {
  readonly #buckets: TokenBuckets;

  /** @param now milliseconds on a clock that never goes back */
  constructor(options: AbandonLimitOptions, now?: () => number) {
    this.#buckets = new TokenBuckets(options, now);
  }

  /** Whether the caller may start a dial. */
  allows(caller: string): boolean {
    return this.#buckets.has(caller);
  }

  /** Counts a dial that the caller gave up. */
  onAbandoned(caller: string): void {
    this.#buckets.take(caller);
  }
}
