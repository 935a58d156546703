import { setTimeout as delay } from 'node:timers/promises';
import type { Backoff } from '@fairlead/runtime/net';
import { ConnectError } from '../connect/connect-error.ts';
import { lookupError } from '../streams/dial-errors.ts';
import { interleaveFamilies, type Lookup, systemLookup } from '../streams/dial-target.ts';

/** Further addresses of one name are ignored. */
const MAX_ADDRESSES = 64;
/** The shortest time between two lookups of a name. */
const MIN_INTERVAL_MS = 1_000;

export interface NameWatchOptions {
  readonly name: string;
  /** Default: getaddrinfo. */
  readonly lookup?: Lookup | undefined;
  readonly intervalMs: number;
  readonly retryBackoff: Backoff;
  /** All addresses; called after the first lookup and after each change. */
  onAddresses(addresses: readonly string[]): void;
  /** The name cannot be resolved; the known addresses stay in use. */
  onFailed(error: ConnectError): void;
}

/** Looks up the addresses of a name at intervals. */
export class NameWatch {
  readonly #options: NameWatchOptions;
  readonly #stop = new AbortController();
  #wake = new AbortController();
  #known = '';

  constructor(options: NameWatchOptions) {
    this.#options = options;
  }

  start(): void {
    void this.#run();
  }

  /** Shortens the current interval: a failed connection suggests that the addresses have changed. */
  lookUpSoon(): void {
    this.#wake.abort();
  }

  close(): void {
    this.#stop.abort();
    this.#wake.abort();
  }

  async #run(): Promise<void> {
    const { intervalMs } = this.#options;
    const { signal } = this.#stop;
    const shortestMs = Math.min(MIN_INTERVAL_MS, intervalMs);
    while (!signal.aborted) {
      this.#wake = new AbortController();
      const retryMs = await this.#lookUp();
      await pause(retryMs ?? shortestMs, signal);
      if (retryMs === undefined) await pause(intervalMs - shortestMs, this.#wake.signal);
    }
  }

  /** @returns how long to wait after a failure */
  async #lookUp(): Promise<number | undefined> {
    const { name, lookup = systemLookup, retryBackoff, onAddresses, onFailed } = this.#options;
    const { signal } = this.#stop;
    try {
      const found = interleaveFamilies(await lookup(name)).slice(0, MAX_ADDRESSES);
      if (signal.aborted) return undefined;
      const addresses = [...new Set(found.map(({ address }) => address))];
      const known = [...addresses].sort().join();
      retryBackoff.reset();
      if (known === this.#known || known === '') return undefined;
      this.#known = known;
      onAddresses(addresses);
      return undefined;
    } catch (thrown) {
      if (signal.aborted) return undefined;
      const { message } = lookupError(thrown as NodeJS.ErrnoException, name);
      onFailed(new ConnectError('dns_failed', message, { cause: thrown }));
      return retryBackoff.next();
    }
  }
}

/** Waits; an abort ends the wait early. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {});
}
