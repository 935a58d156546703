import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { maxTimerMs } from '@fairlead/runtime/options';
import type { Logger } from '@fairlead/runtime/process';
import { z } from 'zod';
import { ApiError, toApiError } from '../api/api-error.ts';
import { RetryPause } from '../api/retry-pause.ts';
import { type Lease, leaseEndMs, leaseSchema } from './lease.ts';
import type { LeaseApi } from './lease-api.ts';

/** After this the API ends a watch, and it is begun again where it was. */
const watchSeconds = 300;
/**
 * A Lease of a server that lives is renewed every 15 s, and a watch that told of none for this long is
 * taken for dead: TCP alone would leave it hanging for minutes.
 */
const silenceMs = 60_000;

const eventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.enum(['ADDED', 'MODIFIED', 'DELETED']), object: leaseSchema }),
  z.object({
    type: z.literal('BOOKMARK'),
    object: z.object({ metadata: z.object({ resourceVersion: z.string() }) }),
  }),
  z.object({
    type: z.literal('ERROR'),
    object: z.object({
      code: z.number().default(0),
      reason: z.string().default(''),
      message: z.string().default(''),
    }),
  }),
]);

export interface LeaseWatchOptions {
  readonly leases: LeaseApi;
  readonly labelSelector: string;
  readonly logger: Logger;
  /** Called with the Leases that hold, when they are known and whenever they are others than before. */
  onChange(valid: readonly Lease[]): void;
}

/**
 * Follows the Leases of a label, by list and watch.
 *
 * What was known is kept while the API does not answer, for then nobody can renew a Lease: one that has run
 * out is given up only when a new list shows it as it was. After a time without answers each has its whole
 * duration to be renewed.
 */
export class LeaseWatch {
  readonly #options: LeaseWatchOptions;
  readonly #stop = new AbortController();
  readonly #retry = new RetryPause({ minMs: 200, maxMs: 10_000 });
  readonly #leases = new Map<string, Lease>();
  /** Until when a Lease holds, whatever it says itself; ms since the epoch. */
  readonly #graceMs = new Map<string, number>();
  #resourceVersion = '';
  #known: string | undefined;
  #valid: readonly Lease[] = [];
  #isFailing = false;
  #running: Promise<void> | undefined;

  constructor(options: LeaseWatchOptions) {
    this.#options = options;
  }

  /** Begins; returns at once. */
  start(): void {
    this.#running = this.#run();
  }

  /** Leases that do not hold any more and are still there; none while the API does not answer. */
  get expired(): readonly Lease[] {
    if (this.#isFailing) return [];
    const nowMs = Date.now();
    return [...this.#leases.values()].filter((lease) => this.#endMs(lease) <= nowMs);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    let isListed = false;
    while (!signal.aborted) {
      try {
        if (!isListed) await this.#list();
        isListed = true;
        isListed = await this.#watch();
      } catch (thrown) {
        if (signal.aborted) return;
        const error = toApiError(thrown);
        // 410: what followed that version is forgotten (Kubernetes, "Efficient detection of changes").
        const isForgotten = error.status === 410;
        if (isForgotten || error.status !== 0) isListed = false;
        if (isForgotten) continue;
        this.#onFailure(error);
        await delay(this.#retry.next(), undefined, { signal, ref: false }).catch(() => {});
      }
    }
  }

  async #list(): Promise<void> {
    const { leases, labelSelector } = this.#options;
    const list = await leases.list(labelSelector, this.#stop.signal);
    this.#onAnswer();
    this.#leases.clear();
    for (const lease of list.leases) this.#leases.set(lease.metadata.name, lease);
    this.#resourceVersion = list.resourceVersion;
    this.#update();
  }

  /** @returns whether the watch may go on where it was; if not, a new list is due */
  async #watch(): Promise<boolean> {
    const end = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, end.signal]);
    let mayGoOn = true;
    let silence: NodeJS.Timeout | undefined;
    let expiry: NodeJS.Timeout | undefined;
    const restartTimers = () => {
      clearTimeout(silence);
      clearTimeout(expiry);
      silence = setTimeout(() => end.abort(), silenceMs).unref();
      expiry = setTimeout(() => {
        mayGoOn = false;
        end.abort();
      }, this.#untilNextEndMs()).unref();
    };
    restartTimers();
    try {
      const answer = await this.#options.leases.watch(
        { labelSelector: this.#options.labelSelector, resourceVersion: this.#resourceVersion },
        watchSeconds,
        signal,
      );
      this.#onAnswer();
      const lines = createInterface({ input: answer, crlfDelay: Number.POSITIVE_INFINITY });
      // What ends the answer early ends the loop, and the loop is what counts.
      answer.on('error', () => lines.close());
      let count = 0;
      for await (const line of lines) {
        this.#onEvent(line);
        count += 1;
        restartTimers();
      }
      // An API that ends every watch at once is not asked in a loop.
      if (count === 0 && !end.signal.aborted) await this.#pauseAfterEmptyWatch();
    } catch (error) {
      if (!end.signal.aborted) throw error;
    } finally {
      clearTimeout(silence);
      clearTimeout(expiry);
      end.abort();
    }
    return mayGoOn;
  }

  async #pauseAfterEmptyWatch(): Promise<void> {
    const { signal } = this.#stop;
    await delay(1_000, undefined, { signal, ref: false }).catch(() => {});
  }

  /** @throws ApiError for an event that is an error */
  #onEvent(line: string): void {
    const event = readEvent(line);
    if (!event) return;
    if (event.type === 'ERROR') {
      const { code, reason, message } = event.object;
      throw new ApiError(code, reason, `the watch of Leases ended: ${message}`);
    }
    const { metadata } = event.object;
    this.#resourceVersion = metadata.resourceVersion;
    if (event.type === 'BOOKMARK') return;
    if (event.type === 'DELETED') this.#leases.delete(event.object.metadata.name);
    else this.#leases.set(event.object.metadata.name, event.object);
    this.#update();
  }

  #update(): void {
    const nowMs = Date.now();
    for (const [name, untilMs] of this.#graceMs) {
      if (untilMs <= nowMs || !this.#leases.has(name)) this.#graceMs.delete(name);
    }
    this.#valid = [...this.#leases.values()].filter((lease) => this.#endMs(lease) > nowMs);
    const known = JSON.stringify(
      this.#valid.map(({ metadata: { name, annotations } }) => [name, annotations]).sort(),
    );
    if (known === this.#known) return;
    this.#known = known;
    this.#options.onChange(this.#valid);
  }

  #endMs(lease: Lease): number {
    return Math.max(leaseEndMs(lease), this.#graceMs.get(lease.metadata.name) ?? 0);
  }

  #untilNextEndMs(): number {
    const ends = this.#valid.map((lease) => this.#endMs(lease));
    return Math.min(maxTimerMs, Math.max(0, Math.min(...ends) - Date.now()) + 50);
  }

  #onAnswer(): void {
    this.#retry.reset();
    if (!this.#isFailing) return;
    this.#isFailing = false;
    this.#options.logger.info('leases are watched again');
    const nowMs = Date.now();
    for (const { metadata, spec } of this.#valid) {
      this.#graceMs.set(metadata.name, nowMs + (spec.leaseDurationSeconds ?? 0) * 1_000);
    }
  }

  #onFailure({ message }: ApiError): void {
    const { logger } = this.#options;
    if (this.#isFailing) logger.debug({ detail: message }, 'leases cannot be watched');
    else logger.warn({ detail: message }, 'leases cannot be watched, those known stay in force');
    this.#isFailing = true;
  }
}

function readEvent(line: string): z.infer<typeof eventSchema> | undefined {
  try {
    return eventSchema.safeParse(JSON.parse(line)).data;
  } catch {
    // The last line of an answer that broke off.
    return undefined;
  }
}
