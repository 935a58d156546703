import type { LookupAddress } from 'node:dns';
import type { Lookup } from './dial-target.ts';

/** For one name: it waits, or getaddrinfo works on it. */
interface SharedLookup {
  readonly host: string;
  readonly result: Promise<readonly LookupAddress[]>;
  readonly settle: {
    resolve(addresses: Promise<readonly LookupAddress[]>): void;
    reject(reason: unknown): void;
  };
  /** Dials that have not given up. */
  dials: number;
}

/**
 * How many lookups of targets can run at once. libuv lets getaddrinfo use half of its threads. Two of these stay free for
 * the agent's own lookups, which do not pass the queue.
 * @param poolSize the value of UV_THREADPOOL_SIZE
 */
export function targetLookups(poolSize: string | undefined): number {
  const threads = Math.floor(((Number(poolSize) || 4) + 1) / 2);
  return Math.max(1, threads - 2);
}

/**
 * Resolves the names of targets by getaddrinfo, which honors /etc/hosts, nsswitch.conf and resolv.conf. It occupies a
 * thread until the resolver answers, often for a minute, and cannot be stopped: a few slow names would occupy all
 * threads, and so stop all dials by name.
 *
 * Dials to one name share a lookup, even one that earlier dials have given up. A lookup that has not begun is dropped
 * with its last dial.
 */
export class LookupQueue {
  readonly #lookup: Lookup;
  readonly #maxRunning: number;
  /** Waiting or running, by host. */
  readonly #shared = new Map<string, SharedLookup>();
  readonly #waiting = new Set<SharedLookup>();

  constructor(lookup: Lookup, maxRunning: number) {
    this.#lookup = lookup;
    this.#maxRunning = maxRunning;
  }

  /** @param signal the dial gives up; the result may then never settle */
  readonly lookup: Lookup = (host, signal) => {
    const shared = this.#shared.get(host) ?? this.#add(host);
    shared.dials++;
    signal?.addEventListener('abort', () => {
      shared.dials--;
      if (shared.dials === 0 && this.#waiting.delete(shared)) this.#shared.delete(host);
    });
    this.#startNext();
    return shared.result;
  };

  #add(host: string): SharedLookup {
    let settle!: SharedLookup['settle'];
    const result = new Promise<readonly LookupAddress[]>((resolve, reject) => {
      settle = { resolve, reject };
    });
    const shared = { host, result, settle, dials: 0 };
    this.#shared.set(host, shared);
    this.#waiting.add(shared);
    return shared;
  }

  #startNext(): void {
    for (const shared of this.#waiting) {
      if (this.#shared.size - this.#waiting.size >= this.#maxRunning) return;
      this.#waiting.delete(shared);
      const onEnd = () => {
        this.#shared.delete(shared.host);
        this.#startNext();
      };
      const found = this.#lookup(shared.host);
      shared.settle.resolve(found);
      found.then(onEnd, onEnd);
    }
  }
}
