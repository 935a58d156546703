import type { Logger } from '@fairlead/runtime/process';
import { isExpired, type TokenStore, TokenStoreError } from './token-store.ts';

const intervalMs = 3_600_000;
/** How long an expired token stays in the store, so that it is listed and an agent learns that it expired. */
const keptMs = 86_400_000;

/** Deletes tokens a day after they expired. */
export class TokenCleaner {
  readonly #store: TokenStore;
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | undefined;

  constructor(store: TokenStore, logger: Logger) {
    this.#store = store;
    this.#logger = logger;
  }

  /**
   * Cleans now, and then every hour.
   *
   * @throws TokenStoreError if the store cannot be used without an operator's help
   */
  async start(): Promise<void> {
    this.#timer = setInterval(() => void this.#clean().catch(this.#warn), intervalMs).unref();
    try {
      await this.#clean();
    } catch (error) {
      if (error instanceof TokenStoreError && !error.mayPass) throw error;
      this.#warn(error as Error);
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #warn = ({ message: detail }: Error): void => {
    this.#logger.warn({ detail }, 'cannot delete expired tokens');
  };

  async #clean(): Promise<void> {
    const yesterday = new Date(Date.now() - keptMs);
    for (const { record } of await this.#store.list()) {
      if (isExpired(record, yesterday)) await this.#store.remove(record.id);
    }
  }
}
