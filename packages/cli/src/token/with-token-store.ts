import { openTokenStore, type TokenPlace, type TokenStore } from '@fairlead/pki/issuer';

/** Opens the tokens' store for a command, and closes it behind it. */
export async function withTokenStore<T>(
  place: TokenPlace,
  use: 'make' | 'find',
  work: (store: TokenStore) => Promise<T>,
): Promise<T> {
  const store = await openTokenStore(place, (text) => process.stderr.write(`${text}\n`), use);
  try {
    return await work(store);
  } finally {
    store.close();
  }
}
