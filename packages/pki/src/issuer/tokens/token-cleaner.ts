import type { Logger } from '@fairlead/runtime/process';
import { isExpired, type TokenStore, TokenStoreError } from './token-store.ts';

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

  /**
   * Looks at once, and again every hour.
   * @throws TokenStoreError for a store that will not be of use unless somebody does something
   */
  async start(): Promise<void> {
    this.#timer = setInterval(() => void this.#tryToClean(), intervalMs).unref();
    await this.#tryToClean((error) => {
      if (error instanceof TokenStoreError && !error.mayPass) throw error;
    });
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #tryToClean(onError: (error: unknown) => void = () => {}): Promise<void> {
    try {
      await this.#clean();
    } catch (error) {
      onError(error);
      const { message: detail } = error as Error;
      this.#logger.warn({ detail }, 'cannot clear away expired tokens');
    }
  }

  async #clean(): Promise<void> {
    const yesterday = new Date(Date.now() - keptMs);
    for (const { record } of await this.#store.list()) {
      if (isExpired(record, yesterday)) await this.#store.remove(record.id);
    }
  }
}
