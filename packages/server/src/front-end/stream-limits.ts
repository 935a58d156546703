import { TunnelError } from '@fairlead/protocol';
import { type TokenBucketOptions, TokenBuckets } from '@fairlead/runtime/net';

/** The limits of a server by their names in metrics. */
export type LimitName =
  | 'streams'
  | 'streams_per_caller'
  | 'streams_per_tunnel'
  | 'pending_dials'
  | 'opens_per_caller'
  | 'abandoned_dials'
  | 'handshakes';

/** A number that is left out is unlimited. */
export interface StreamLimitOptions {
  /** Dialing or open, of all callers. */
  readonly maxStreams?: number;
  readonly maxStreamsPerCaller?: number;
  readonly maxPendingDials?: number;
  /** Streams that one caller may open in a second; twice as many at once. */
  readonly maxOpensPerSecond?: number;
  /**
   * Dials that one caller may start and abandon. A reset during the dial costs the client one frame, but the server
   * and an agent a dial (HTTP/2 rapid reset). A stream that ends later costs the client as much as the server, and does
   * not count.
   */
  readonly abandonLimit?: TokenBucketOptions;
}

const defaults: Required<StreamLimitOptions> = {
  maxStreams: Number.POSITIVE_INFINITY,
  maxStreamsPerCaller: Number.POSITIVE_INFINITY,
  maxPendingDials: Number.POSITIVE_INFINITY,
  maxOpensPerSecond: Number.POSITIVE_INFINITY,
  // Far more than an API server abandons while a zone of its nodes is down and every scrape times out, and too
  // little to keep a core busy.
  abandonLimit: { burst: 10_000, perSecond: 1_000 },
};

/** One stream's share of the limits. */
export type StreamLease = ReturnType<StreamLimits['admit']>;

/** How many streams callers may have, and how fast they may open them. Callers are known by `callerName`. */
export class StreamLimits {
  readonly #options: Required<StreamLimitOptions>;
  readonly #onLimit: (name: LimitName) => void;
  readonly #abandoned: TokenBuckets;
  readonly #opens: TokenBuckets;
  readonly #streamsByCaller = new Map<string, number>();
  #streams = 0;
  #pendingDials = 0;

  /** @param onLimit called for each stream that is refused */
  constructor(options: StreamLimitOptions, onLimit: (name: LimitName) => void) {
    this.#options = { ...defaults, ...options };
    const { abandonLimit, maxOpensPerSecond: perSecond } = this.#options;
    this.#onLimit = onLimit;
    this.#abandoned = new TokenBuckets(abandonLimit);
    this.#opens = new TokenBuckets({ burst: 2 * perSecond, perSecond });
  }

  /** @throws TunnelError `limit_reached` that names the limit */
  admit(caller: string) {
    this.#check(caller);
    if (this.#options.maxOpensPerSecond !== Number.POSITIVE_INFINITY) this.#opens.take(caller);
    this.#streams++;
    this.#pendingDials++;
    this.#streamsByCaller.set(caller, this.#streamsOf(caller) + 1);
    let isPending = true;
    /** The dial has ended, in success or failure. */
    const onDialEnd = () => {
      if (isPending) this.#pendingDials--;
      isPending = false;
    };
    return {
      onDialEnd,
      /** The client closed its connection during the dial. */
      onAbandoned: () => this.#abandoned.take(caller),
      end: () => {
        onDialEnd();
        this.#streams--;
        const left = this.#streamsOf(caller) - 1;
        if (left > 0) this.#streamsByCaller.set(caller, left);
        else this.#streamsByCaller.delete(caller);
      },
    };
  }

  #check(caller: string): void {
    const { maxStreams, maxStreamsPerCaller, maxPendingDials, maxOpensPerSecond } = this.#options;
    if (!this.#abandoned.has(caller)) {
      this.#refuse('abandoned_dials', 'the caller abandoned too many dials; retry in a second');
    }
    if (!this.#opens.has(caller)) {
      const reason = `the caller opens more than ${maxOpensPerSecond} streams per second`;
      this.#refuse('opens_per_caller', reason);
    }
    if (this.#streamsOf(caller) >= maxStreamsPerCaller) {
      const reason = `the caller already has ${maxStreamsPerCaller} streams`;
      this.#refuse('streams_per_caller', reason);
    }
    if (this.#streams >= maxStreams) {
      this.#refuse('streams', `the server already has ${maxStreams} streams`);
    }
    if (this.#pendingDials >= maxPendingDials) {
      this.#refuse('pending_dials', `${maxPendingDials} dials already wait for their agents`);
    }
  }

  #refuse(limit: LimitName, reason: string): never {
    this.#onLimit(limit);
    throw new TunnelError('limit_reached', reason);
  }

  #streamsOf(caller: string): number {
    return this.#streamsByCaller.get(caller) ?? 0;
  }
}
