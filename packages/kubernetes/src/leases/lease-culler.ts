import type { Logger } from '@fairlead/runtime/process';
import { toApiError } from '../api/api-error.ts';
import type { Lease, LeaseApi } from './lease-api.ts';

/** Deletes expired Leases of servers that did not delete them themselves. Every server does this. */
export class LeaseCuller {
  readonly #leases: LeaseApi;
  readonly #logger: Logger;
  readonly #onCulled: () => void;
  readonly #stop = new AbortController();

  /** @param options.onCulled called after each deletion */
  constructor(options: {
    readonly leases: LeaseApi;
    readonly logger: Logger;
    onCulled(): void;
  }) {
    this.#leases = options.leases;
    this.#logger = options.logger;
    this.#onCulled = () => options.onCulled();
  }

  /** Deletes the Leases unless they are renewed meanwhile; never rejects. */
  async cull(expired: readonly Lease[]): Promise<void> {
    for (const lease of expired) {
      const { name } = lease.metadata;
      try {
        await this.#leases.delete(lease, this.#stop.signal);
        this.#onCulled();
        this.#logger.info({ lease: name }, 'expired lease deleted');
      } catch (thrown) {
        const { status, message } = toApiError(thrown);
        // Its server renewed it, or another server deleted it: both are expected.
        if (status === 404 || status === 409 || this.#stop.signal.aborted) continue;
        this.#logger.warn({ lease: name, detail: message }, 'cannot delete expired lease');
      }
    }
  }

  close(): void {
    this.#stop.abort();
  }
}
