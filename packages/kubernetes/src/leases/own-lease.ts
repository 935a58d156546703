import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '@fairlead/runtime/process';
import { type ApiError, toApiError } from '../api/api-error.ts';
import { RetryPause } from '../api/retry-pause.ts';
import { formatMicroTime, type Lease } from './lease.ts';
import type { LeaseApi } from './lease-api.ts';

/** Conflicts in a row before the next attempt waits. */
const maxConflicts = 5;
const removeTimeoutMs = 3_000;

export interface OwnLeaseOptions {
  readonly leases: LeaseApi;
  readonly name: string;
  readonly holder: string;
  readonly durationSeconds: number;
  /** From one renewal to the next; up to 4 % more, at random. */
  readonly renewIntervalMs: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly logger: Logger;
}

/** A Lease that this process holds: published, renewed, and deleted at the end. */
export class OwnLease {
  readonly #options: OwnLeaseOptions;
  readonly #stop = new AbortController();
  readonly #retry: RetryPause;
  #lease: Lease | undefined;
  #running: Promise<void> | undefined;
  #removing: Promise<void> | undefined;
  #pause = new AbortController();
  /** Undefined before the first attempt. */
  #isPublished: boolean | undefined;

  constructor(options: OwnLeaseOptions) {
    this.#options = options;
    this.#retry = new RetryPause({ minMs: 200, maxMs: options.renewIntervalMs / 3 });
  }

  /** Begins; returns at once. */
  start(): void {
    this.#running = this.#run();
  }

  /** Writes it without waiting for its time: it is said to be gone. */
  renewSoon(): void {
    this.#pause.abort();
  }

  /** Deletes the Lease unless somebody else has taken it over; never rejects. */
  remove(): Promise<void> {
    this.#removing ??= this.#remove();
    return this.#removing;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      this.#pause = new AbortController();
      const pauseMs = await this.#renewOnce();
      const either = AbortSignal.any([signal, this.#pause.signal]);
      // Only these two can reject it.
      await delay(pauseMs, undefined, { signal: either, ref: false }).catch(() => {});
    }
  }

  /** @returns how long to wait */
  async #renewOnce(): Promise<number> {
    const { logger, name, renewIntervalMs } = this.#options;
    try {
      await this.#renew();
      if (this.#isPublished === undefined) logger.info({ lease: name }, 'lease published');
      else if (!this.#isPublished) logger.info({ lease: name }, 'lease is renewed again');
      this.#isPublished = true;
      this.#retry.reset();
      return renewIntervalMs * (1 + Math.random() * 0.04);
    } catch (thrown) {
      if (this.#stop.signal.aborted) return 0;
      const { message } = toApiError(thrown);
      const fields = { lease: name, detail: message };
      if (this.#isPublished === false) logger.debug(fields, 'lease cannot be renewed');
      else logger.warn(fields, 'lease cannot be renewed');
      this.#isPublished = false;
      return this.#retry.next();
    }
  }

  async #renew(): Promise<void> {
    const { signal } = this.#stop;
    for (let conflicts = 0; ; conflicts++) {
      try {
        this.#lease ??= await this.#find();
        this.#lease = this.#lease
          ? await this.#options.leases.update(this.#renewed(this.#lease), signal)
          : await this.#options.leases.create(this.#renewed(), signal);
        return;
      } catch (thrown) {
        this.#lease = undefined;
        // Somebody wrote or deleted it meanwhile: look again, and once more.
        if (!isConflict(toApiError(thrown)) || conflicts === maxConflicts) throw thrown;
      }
    }
  }

  async #find(): Promise<Lease | undefined> {
    try {
      return await this.#options.leases.get(this.#options.name, this.#stop.signal);
    } catch (thrown) {
      if (toApiError(thrown).status === 404) return undefined;
      throw thrown;
    }
  }

  #renewed(lease?: Lease): Lease {
    const { name, holder, durationSeconds, labels, annotations } = this.#options;
    const now = formatMicroTime(Date.now());
    return {
      ...lease,
      metadata: {
        resourceVersion: '',
        ...lease?.metadata,
        name,
        labels: { ...lease?.metadata.labels, ...labels },
        annotations: { ...lease?.metadata.annotations, ...annotations },
      },
      spec: {
        acquireTime: now,
        ...lease?.spec,
        holderIdentity: holder,
        leaseDurationSeconds: durationSeconds,
        renewTime: now,
      },
    };
  }

  async #remove(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    if (this.#isPublished === undefined) return;
    const { leases, logger, name } = this.#options;
    const signal = AbortSignal.timeout(removeTimeoutMs);
    try {
      // What the last answer said may be out of date: a request was cut off.
      const lease = this.#lease ?? (await leases.get(name, signal));
      if (lease.spec.holderIdentity === this.#options.holder) await leases.delete(lease, signal);
      logger.info({ lease: name }, 'lease deleted');
    } catch (thrown) {
      const error = toApiError(thrown);
      if (error.status === 404 || error.status === 409) return;
      logger.warn({ lease: name, detail: error.message }, 'lease stays until it expires');
    }
  }
}

const isConflict = ({ status }: ApiError): boolean => status === 409 || status === 404;
