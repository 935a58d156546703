import { release } from '@fairlead/runtime/process';
import { FileTokenStore } from './file-token-store.ts';
import type { TokenStore } from './token-store.ts';
import { checkTokenStoreOptions, type TokenStoreOptions } from './token-store-options.ts';

/**
 * Opens the token store.
 *
 * @param warn called for each token that `list` skips, and if a changed kubeconfig cannot be read; the previous one
 *   stays in use
 * @param use `find` if the directory must exist
 * @throws UsageError unless the options select one token store, StartupError if it cannot be used
 */
export async function openTokenStore(
  options: TokenStoreOptions,
  warn: (text: string) => void,
  use: 'make' | 'find' = 'make',
): Promise<TokenStore> {
  checkTokenStoreOptions(options);
  const { tokenDir, tokenNamespace, kubeconfig } = options;
  if (tokenNamespace === undefined) return FileTokenStore.open(tokenDir ?? '', warn, use);
  const [{ ApiClient }, { SecretTokenStore }] = await Promise.all([
    import('@fairlead/kubernetes'),
    import('./secret-token-store.ts'),
  ]);
  const api = new ApiClient({
    kubeconfig,
    userAgent: `fairlead/${release.version}`,
    onStale: ({ message }) => warn(message),
  });
  return new SecretTokenStore(api, tokenNamespace, warn);
}
