import { UsageError } from '@fairlead/runtime';
import { FileTokenStore } from './file-token-store.ts';
import type { TokenStore } from './token-store.ts';

/** What says where tokens are kept. */
export interface TokenStoreOptions {
  readonly tokenDir: string | undefined;
}

/**
 * Opens the tokens' store.
 * @throws UsageError when no place is named, StartupError when it cannot be used
 */
export async function openTokenStore({ tokenDir }: TokenStoreOptions): Promise<TokenStore> {
  if (tokenDir === undefined) {
    throw new UsageError('--token-dir is missing: give the directory of the tokens');
  }
  return FileTokenStore.open(tokenDir, '--token-dir');
}
