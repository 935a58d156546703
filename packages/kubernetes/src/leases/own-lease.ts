import { setTimeout as delay } from 'node:timers/promises';
import { Backoff } from '@fairlead/runtime/net';
import type { Logger } from '@fairlead/runtime/process';
import { toApiError } from '../api/api-error.ts';
import type { Lease, LeaseApi } from './lease-api.ts';

/** Conflicts in a row before the next attempt waits. */
const maxConflicts = 5;
const removeTimeoutMs = 3_000;

interface OwnLeaseOptions {
  readonly leases: LeaseApi;
  readonly name: string;
  readonly holder: string;
  readonly durationSeconds: number;
  /** Between two renewals; up to 4 % more, at random. */
  readonly renewIntervalMs: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly logger: Logger;
}

/** A Lease that this process holds: it publishes it, renews it, and deletes it at the end. */
export class OwnLease {
  readonly #options: OwnLeaseOptions;
  readonly #stop = new AbortController();
  readonly #backoff: Backoff;
  #lease: Lease | undefined;
  #running: Promise<void> | undefined;
  #removing: Promise<void> | undefined;
  #pause = new AbortController();
  /** Undefined before the first attempt. */
  #isPublished: boolean | undefined;

  constructor(options: OwnLeaseOptions) {
    this.#options = options;
    this.#backoff = new Backoff({ minMs: 100, maxMs: options.renewIntervalMs / 3 });
  }

  /** Starts publishing and renewing in the background. */
  start(): void {
    this.#running = this.#run();
  }

  /** Renews without waiting for the interval: a watch reported the Lease as deleted. */
  renewSoon(): void {
    this.#pause.abort();
  }

  /** Deletes the Lease unless another holder has taken it over; never rejects. */
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
      // Only an abort rejects it.
      await delay(pauseMs, undefined, { signal: either, ref: false }).catch(() => {});
    }
  }

  /** @returns the pause until the next renewal, in ms */
  async #renewOnce(): Promise<number> {
    const { logger, name, renewIntervalMs } = this.#options;
    try {
      await this.#renew();
      if (this.#isPublished === undefined) logger.info({ lease: name }, 'lease published');
      else if (!this.#isPublished) logger.info({ lease: name }, 'lease is renewed again');
      this.#isPublished = true;
      this.#backoff.reset();
      return renewIntervalMs * (1 + Math.random() * 0.04);
    } catch (thrown) {
      if (this.#stop.signal.aborted) return 0;
      const { message } = toApiError(thrown);
      const fields = { lease: name, detail: message };
      if (this.#isPublished === false) logger.debug(fields, 'cannot renew lease');
      else logger.warn(fields, 'cannot renew lease');
      this.#isPublished = false;
      return this.#backoff.next();
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
        const { status } = toApiError(thrown);
        // Changed or deleted since it was read: read it again.
        const isConflict = status === 409 || status === 404;
        if (!isConflict || conflicts === maxConflicts) throw thrown;
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
    // A MicroTime: the API accepts exactly six digits.
    const now = new Date().toISOString().replace('Z', '000Z');
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
      // #lease is undefined if the abort cut off a request.
      const lease = this.#lease ?? (await leases.get(name, signal));
      if (lease.spec.holderIdentity === this.#options.holder) await leases.delete(lease, signal);
      logger.info({ lease: name }, 'lease deleted');
    } catch (thrown) {
      const error = toApiError(thrown);
      if (error.status === 404 || error.status === 409) return;
      logger.warn(
        { lease: name, detail: error.message },
        'cannot delete lease, it stays until it expires',
      );
    }
  }
}
