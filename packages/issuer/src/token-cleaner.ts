import type { Logger } from '@fairlead/runtime';
import { isExpired, type TokenStore } from './token-store.ts';

const intervalMs = 3_600_000;
/** For as long a token that has expired is still listed, and tells that it has. */
const keptMs = 86_400_000;

/** Takes tokens away that expired a day ago. */
export class TokenCleaner {
  readonly #store: TokenStore;
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | undefined;

  constructor(store: TokenStore, logger: Logger) {
    this.#store = store;
    this.#logger = logger;
  }

  start(): void {
    this.#timer = setInterval(() => void this.#clean(), intervalMs).unref();
    void this.#clean();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #clean(): Promise<void> {
    try {
      const yesterday = new Date(Date.now() - keptMs);
      for (const { record } of await this.#store.list()) {
        if (isExpired(record, yesterday)) await this.#store.remove(record.id);
      }
    } catch (err) {
      this.#logger.warn({ err }, 'cannot clear away expired tokens');
    }
  }
}
