import { parseIpAddress, TokenBuckets } from '@fairlead/runtime/net';
import { Refusal } from './refusal.ts';

/** One source may use a fifth of the whole rate. */
const SOURCE_SHARE = 5;
/** Failed requests of one source: a burst of so many, then one a second. */
const FAILURES_AT_ONCE = 10;
const SWEEP_MS = 60_000;
const ALL = 'all';

/**
 * Limits the rate of requests: of all sources, of one source, and of one source's failures. A source is
 * an IPv4 address or an IPv6 network of 64 bits, since one host can use all addresses of such a network.
 */
export class RequestLimits {
  readonly #all: TokenBuckets;
  readonly #bySource: TokenBuckets;
  readonly #failures = new TokenBuckets({ burst: FAILURES_AT_ONCE, perSecond: 1 });
  readonly #sweep: NodeJS.Timeout;

  constructor(perSecond: number) {
    const ofSource = Math.max(1, perSecond / SOURCE_SHARE);
    this.#all = new TokenBuckets({ burst: 2 * perSecond, perSecond });
    this.#bySource = new TokenBuckets({ burst: 2 * ofSource, perSecond: ofSource });
    this.#sweep = setInterval(() => {
      this.#bySource.sweep();
      this.#failures.sweep();
    }, SWEEP_MS).unref();
  }

  /** @throws Refusal `rate_limited` */
  admit(address: string): void {
    const source = sourceOf(address);
    if (!this.#failures.has(source)) {
      throw new Refusal('rate_limited', 'too many refusals for this address; wait some seconds');
    }
    if (!this.#bySource.has(source)) {
      throw new Refusal('rate_limited', 'too many requests from this address; wait a second');
    }
    if (!this.#all.has(ALL)) {
      throw new Refusal('rate_limited', 'too many requests; wait a second');
    }
    this.#bySource.take(source);
    this.#all.take(ALL);
  }

  onFailure(address: string): void {
    this.#failures.take(sourceOf(address));
  }

  close(): void {
    clearInterval(this.#sweep);
  }
}

function sourceOf(address: string): string {
  const parsed = parseIpAddress(address);
  return parsed?.family === 6 ? `${parsed.value >> 64n}` : (parsed?.text ?? address);
}
