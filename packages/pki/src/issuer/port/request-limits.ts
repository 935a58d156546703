import { parseIpAddress, TokenBuckets } from '@fairlead/runtime/net';
import { Refusal } from './refusal.ts';

/** A part of the whole that one source address may have. */
const SOURCE_SHARE = 5;
/** Wrong tokens of one source: as many at once, and one a second from then on. */
const FAILURES_AT_ONCE = 10;
const SWEEP_MS = 60_000;
const ALL = 'all';

/**
 * How often the issuer can be asked: by all, by one source, and by one source without success. A source
 * is an IPv4 address or an IPv6 network of 64 bits, all of whose addresses are one host's to choose from.
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
