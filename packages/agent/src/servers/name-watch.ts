import { setTimeout as delay } from 'node:timers/promises';
import type { Backoff } from '@fairlead/runtime/net';
import { ConnectError } from '../connect/connect-error.ts';
import { lookupError } from '../streams/dial-errors.ts';
import { interleaveFamilies, type Lookup, systemLookup } from '../streams/dial-target.ts';

/** More addresses of one name are not looked at. */
const MAX_ADDRESSES = 64;
/** However much is in doubt, a name is not asked for more often than this. */
const MIN_INTERVAL_MS = 1_000;

export interface NameWatchOptions {
  readonly name: string;
  /** Default: getaddrinfo. */
  readonly lookup?: Lookup | undefined;
  readonly intervalMs: number;
  readonly retryBackoff: Backoff;
  /** All addresses; called at first and whenever they are not the same as before. */
  onAddresses(addresses: readonly string[]): void;
  /** The name cannot be resolved; what was known before stays. */
  onFailed(error: ConnectError): void;
}

/** Follows the addresses of a name. */
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

  /** Says that the addresses may have changed: something did not connect. */
  doubt(): void {
    this.#wake.abort();
  }

  close(): void {
    this.#stop.abort();
    this.#wake.abort();
  }

  async #run(): Promise<void> {
    const { intervalMs } = this.#options;
    const shortestMs = Math.min(MIN_INTERVAL_MS, intervalMs);
    for (;;) {
      this.#wake = new AbortController();
      const pauseMs = await this.#resolve();
      if (this.#stop.signal.aborted) return;
      if (pauseMs !== undefined) {
        await pause(pauseMs, this.#stop.signal);
        continue;
      }
      await pause(shortestMs, this.#stop.signal);
      await pause(intervalMs - shortestMs, this.#wake.signal);
      if (this.#stop.signal.aborted) return;
    }
  }

  /** @returns how long to wait after a failure */
  async #resolve(): Promise<number | undefined> {
    const { name, lookup = systemLookup, retryBackoff, onAddresses, onFailed } = this.#options;
    try {
      const found = interleaveFamilies(await lookup(name)).slice(0, MAX_ADDRESSES);
      if (this.#stop.signal.aborted) return undefined;
      const addresses = [...new Set(found.map(({ address }) => address))];
      const known = [...addresses].sort().join();
      retryBackoff.reset();
      if (known === this.#known || known === '') return undefined;
      this.#known = known;
      onAddresses(addresses);
      return undefined;
    } catch (thrown) {
      if (this.#stop.signal.aborted) return undefined;
      const { message } = lookupError(thrown as NodeJS.ErrnoException, name);
      onFailed(new ConnectError('dns_failed', message, { cause: thrown }));
      return retryBackoff.next();
    }
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  // An abort is not worth more than the end of the pause.
  await delay(ms, undefined, { signal }).catch(() => {});
}
