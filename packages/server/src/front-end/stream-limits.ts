import { TunnelError } from '@fairlead/protocol';
import { TokenBuckets } from '@fairlead/runtime/net';
import { AbandonLimit, type AbandonLimitOptions, defaultAbandonLimit } from './abandon-limit.ts';
import { callerName } from './caller.ts';
import type { Caller } from './dial.ts';

/** The limits of a server by their names in metrics. */
export type LimitName =
  | 'streams'
  | 'streams_per_caller'
  | 'streams_per_tunnel'
  | 'pending_dials'
  | 'opens_per_caller'
  | 'abandoned_dials'
  | 'handshakes';

export interface StreamLimitOptions {
  /** Dialling or open, of all callers. */
  readonly maxStreams: number;
  readonly maxStreamsPerCaller: number;
  readonly maxPendingDials: number;
  /** Streams that one caller may open in a second; twice as many at once. */
  readonly maxOpensPerSecond: number;
  readonly abandonLimit?: AbandonLimitOptions;
  /** Told of each stream that is refused. */
  onLimit?(name: LimitName): void;
}

/** No limits but the one on abandoned dials. */
export const openLimits: StreamLimitOptions = {
  maxStreams: Number.POSITIVE_INFINITY,
  maxStreamsPerCaller: Number.POSITIVE_INFINITY,
  maxPendingDials: Number.POSITIVE_INFINITY,
  maxOpensPerSecond: Number.POSITIVE_INFINITY,
};

/** A stream's place within the limits. */
export interface StreamLease {
  /** The dial is over, one way or the other. */
  onDialEnd(): void;
  /** The client went away during the dial. */
  onAbandoned(): void;
  /** The stream is over. */
  end(): void;
}

/** How many streams callers may have, and how fast they may open them. */
export class StreamLimits {
  readonly #options: StreamLimitOptions;
  readonly #abandoned: AbandonLimit;
  readonly #opens: TokenBuckets;
  readonly #streamsByCaller = new Map<string, number>();
  #streams = 0;
  #pendingDials = 0;

  constructor(options: StreamLimitOptions) {
    this.#options = options;
    this.#abandoned = new AbandonLimit(options.abandonLimit ?? defaultAbandonLimit);
    const { maxOpensPerSecond } = options;
    this.#opens = new TokenBuckets({ burst: 2 * maxOpensPerSecond, perSecond: maxOpensPerSecond });
  }

  /** @throws TunnelError `limit_reached` that names the limit */
  admit(caller: Caller): StreamLease {
    const name = callerName(caller);
    const full = this.#fullLimit(name);
    if (full) {
      this.#options.onLimit?.(full.limit);
      throw new TunnelError('limit_reached', full.text);
    }
    if (this.#options.maxOpensPerSecond !== Number.POSITIVE_INFINITY) this.#opens.take(name);
    return this.#lease(name);
  }

  #lease(caller: string): StreamLease {
    this.#streams++;
    this.#pendingDials++;
    this.#streamsByCaller.set(caller, this.#streamsOf(caller) + 1);
    let isPending = true;
    const onDialEnd = () => {
      if (isPending) this.#pendingDials--;
      isPending = false;
    };
    return {
      onDialEnd,
      onAbandoned: () => this.#abandoned.onAbandoned(caller),
      end: () => {
        onDialEnd();
        this.#streams--;
        const left = this.#streamsOf(caller) - 1;
        if (left > 0) this.#streamsByCaller.set(caller, left);
        else this.#streamsByCaller.delete(caller);
      },
    };
  }

  #fullLimit(caller: string): { readonly limit: LimitName; readonly text: string } | undefined {
    const { maxStreams, maxStreamsPerCaller, maxPendingDials, maxOpensPerSecond } = this.#options;
    if (!this.#abandoned.allows(caller)) {
      const text = 'the caller gave up too many dials; try again in a second';
      return { limit: 'abandoned_dials', text };
    }
    if (!this.#opens.has(caller)) {
      const text = `the caller opens more than ${maxOpensPerSecond} streams a second`;
      return { limit: 'opens_per_caller', text };
    }
    if (this.#streamsOf(caller) >= maxStreamsPerCaller) {
      const text = `the caller has ${maxStreamsPerCaller} streams already`;
      return { limit: 'streams_per_caller', text };
    }
    if (this.#streams >= maxStreams) {
      return { limit: 'streams', text: `the server has ${maxStreams} streams already` };
    }
    if (this.#pendingDials >= maxPendingDials) {
      const text = `${maxPendingDials} dials are waiting for their agents already`;
      return { limit: 'pending_dials', text };
    }
    return undefined;
  }

  #streamsOf(caller: string): number {
    return this.#streamsByCaller.get(caller) ?? 0;
  }
}
