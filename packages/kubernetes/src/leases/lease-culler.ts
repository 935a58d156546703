import type { Logger } from '@fairlead/runtime/process';
import { toApiError } from '../api/api-error.ts';
import type { Lease } from './lease.ts';
import type { LeaseApi } from './lease-api.ts';

export interface LeaseCullerOptions {
  readonly leases: LeaseApi;
  readonly logger: Logger;
  /** One is gone that nobody renewed. */
  onCulled(): void;
}

/** Deletes Leases whose holders are gone without a word. Every server does it: whoever comes first. */
export class LeaseCuller {
  readonly #options: LeaseCullerOptions;
  readonly #stop = new AbortController();

  constructor(options: LeaseCullerOptions) {
    this.#options = options;
  }

  /** Deletes those that nobody renews meanwhile; never rejects. */
  async cull(expired: readonly Lease[]): Promise<void> {
    const { leases, logger, onCulled } = this.#options;
    for (const lease of expired) {
      const { name } = lease.metadata;
      try {
        await leases.delete(lease, this.#stop.signal);
        onCulled();
        logger.info({ lease: name }, 'expired lease deleted');
      } catch (thrown) {
        const { status, message } = toApiError(thrown);
        // Renewed, or deleted by another server: as it should be.
        if (status === 404 || status === 409 || this.#stop.signal.aborted) continue;
        logger.warn({ lease: name, detail: message }, 'expired lease cannot be deleted');
      }
    }
  }

  close(): void {
    this.#stop.abort();
  }
}
