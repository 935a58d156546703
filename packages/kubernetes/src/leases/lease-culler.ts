import type { Logger } from '@fairlead/runtime/process';
import { toApiError } from '../api/api-error.ts';
import type { Lease, LeaseApi } from './lease-api.ts';

interface LeaseCullerOptions {
  readonly leases: LeaseApi;
  readonly logger: Logger;
  /** Called after each deletion. */
  onCulled(): void;
}

/** Deletes expired Leases of servers that did not delete them themselves. Every server does this. */
export class LeaseCuller {
  readonly #options: LeaseCullerOptions;
  readonly #stop = new AbortController();

  constructor(options: LeaseCullerOptions) {
    this.#options = options;
  }

  /** Deletes the Leases unless they are renewed meanwhile; never rejects. */
  async cull(expired: readonly Lease[]): Promise<void> {
    const { leases, logger } = this.#options;
    for (const lease of expired) {
      const { name } = lease.metadata;
      try {
        await leases.delete(lease, this.#stop.signal);
        this.#options.onCulled();
        logger.info({ lease: name }, 'expired lease deleted');
      } catch (thrown) {
        const { status, message } = toApiError(thrown);
        // Its server renewed it, or another server deleted it: both are expected.
        if (status === 404 || status === 409 || this.#stop.signal.aborted) continue;
        logger.warn({ lease: name, detail: message }, 'cannot delete expired lease');
      }
    }
  }

  close(): void {
    this.#stop.abort();
  }
}
