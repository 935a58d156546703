import { openTokenStore, type TokenStore, type TokenStoreOptions } from '@fairlead/pki/issuer';
import { kinds, option } from '@fairlead/runtime/options';
import { printable } from '@fairlead/runtime/process';

export const jsonOption = {
  json: option(kinds.boolean, {
    group: 'Output',
    description: 'Print JSON, for programs',
    default: false,
  }),
};

/** Opens the token store for a command, and closes it afterwards. */
export async function withTokenStore<T>(
  options: TokenStoreOptions,
  use: 'make' | 'find',
  work: (store: TokenStore) => Promise<T>,
): Promise<T> {
  const store = await openTokenStore(
    options,
    (text) => process.stderr.write(`warning: ${printable(text)}\n`),
    use,
  );
  try {
    return await work(store);
  } finally {
    store.close();
  }
}
