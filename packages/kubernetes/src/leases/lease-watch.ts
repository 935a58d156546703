import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { Backoff } from '@fairlead/runtime/net';
import { maxTimerMs } from '@fairlead/runtime/options';
import type { Logger } from '@fairlead/runtime/process';
import { z } from 'zod';
import { ApiError, toApiError } from '../api/api-error.ts';
import { type Lease, type LeaseApi, leaseEndMs, leaseSchema } from './lease-api.ts';

/** The API ends a watch after this time; the next one continues from the same version. */
const watchSeconds = 300;
/**
 * A running server renews its Lease every 15 s. A watch that is silent for this long counts as dead: TCP
 * alone would detect that minutes later.
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

interface LeaseWatchOptions {
  readonly leases: LeaseApi;
  readonly labelSelector: string;
  readonly logger: Logger;
  /** Called with the valid Leases after the first list, and after each change. */
  onChange(valid: readonly Lease[]): void;
}

/**
 * Tracks the Leases with a label, by list and watch.
 *
 * While the API does not answer, no server can renew its Lease, so all known Leases stay valid. A Lease
 * becomes invalid only when a new list shows it without a renewal. When the API answers again, each Lease
 * stays valid for its whole duration.
 */
export class LeaseWatch {
  readonly #options: LeaseWatchOptions;
  readonly #stop = new AbortController();
  readonly #backoff = new Backoff({ minMs: 100, maxMs: 10_000 });
  readonly #leases = new Map<string, Lease>();
  /** Until when a Lease is valid regardless of its own fields; ms since the epoch. */
  readonly #graceMs = new Map<string, number>();
  #resourceVersion = '';
  /** Serialized, to detect a change. */
  #lastValid: string | undefined;
  #valid: readonly Lease[] = [];
  #isFailing = false;
  #running: Promise<void> | undefined;

  constructor(options: LeaseWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Leases that have expired and still exist; empty while the API does not answer. */
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
        if (error.status !== 0) isListed = false;
        // 410: the API has dropped that version (Kubernetes, "Efficient detection of changes").
        if (error.status === 410) continue;
        this.#onFailure(error);
        await delay(this.#backoff.next(), undefined, { signal, ref: false }).catch(() => {});
      }
    }
  }

  async #list(): Promise<void> {
    const { leases, labelSelector } = this.#options;
    const list = await leases.list(labelSelector, this.#stop.signal);
    this.#onAnswer();
    this.#leases.clear();
    for (const lease of list.items) this.#leases.set(lease.metadata.name, lease);
    this.#resourceVersion = list.resourceVersion;
    this.#update();
  }

  /** @returns whether the next watch can continue; otherwise a new list is needed */
  async #watch(): Promise<boolean> {
    const end = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, end.signal]);
    let canContinue = true;
    let silence: NodeJS.Timeout | undefined;
    let expiry: NodeJS.Timeout | undefined;
    const restartTimers = () => {
      clearTimeout(silence);
      clearTimeout(expiry);
      silence = setTimeout(() => end.abort(), silenceMs).unref();
      expiry = setTimeout(() => {
        canContinue = false;
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
      // readline does not end by itself if its input fails.
      answer.on('error', () => lines.close());
      let count = 0;
      for await (const line of lines) {
        this.#onEvent(line);
        count += 1;
        restartTimers();
      }
      // Without a pause, an API that ends every watch at once would be asked in a busy loop.
      if (count === 0 && !end.signal.aborted) {
        const { signal: stop } = this.#stop;
        await delay(1_000, undefined, { signal: stop, ref: false }).catch(() => {});
      }
    } catch (error) {
      if (!end.signal.aborted) throw error;
    } finally {
      clearTimeout(silence);
      clearTimeout(expiry);
      end.abort();
    }
    return canContinue;
  }

  /** @throws ApiError for an ERROR event */
  #onEvent(line: string): void {
    const event = readEvent(line);
    if (!event) return;
    if (event.type === 'ERROR') {
      const { code, reason, message } = event.object;
      throw new ApiError(code, reason, `the watch of Leases failed: ${message}`);
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
    const serialized = JSON.stringify(
      this.#valid.map(({ metadata: { name, annotations } }) => [name, annotations]).sort(),
    );
    if (serialized === this.#lastValid) return;
    this.#lastValid = serialized;
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
    this.#backoff.reset();
    if (!this.#isFailing) return;
    this.#isFailing = false;
    this.#options.logger.info('watching leases again');
    const nowMs = Date.now();
    for (const { metadata, spec } of this.#valid) {
      this.#graceMs.set(metadata.name, nowMs + (spec.leaseDurationSeconds ?? 0) * 1_000);
    }
  }

  #onFailure({ message }: ApiError): void {
    const { logger } = this.#options;
    if (this.#isFailing) logger.debug({ detail: message }, 'cannot watch leases');
    else logger.warn({ detail: message }, 'cannot watch leases, known leases stay valid');
    this.#isFailing = true;
  }
}

function readEvent(line: string): z.infer<typeof eventSchema> | undefined {
  try {
    return eventSchema.safeParse(JSON.parse(line)).data;
  } catch {
    // An answer that broke off ends with half a line.
    return undefined;
  }
}
