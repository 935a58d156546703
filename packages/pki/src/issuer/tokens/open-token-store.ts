import { release } from '@fairlead/runtime/process';
import { FileTokenStore } from './file-token-store.ts';
import { checkTokenPlace, type TokenPlace } from './token-place.ts';
import type { TokenStore } from './token-store.ts';

/**
 * Opens the tokens' store.
 * @param warn told when a kubeconfig that has changed cannot be read; the earlier one is used
 * @param use `find` for a place that has to be there
 * @throws UsageError when no place is named, or one that cannot be, StartupError when it cannot be used
 */
export async function openTokenStore(
  place: TokenPlace,
  warn: (text: string) => void,
  use: 'make' | 'find' = 'make',
): Promise<TokenStore> {
  checkTokenPlace(place);
  const { tokenDir, tokenNamespace, kubeconfig } = place;
  if (tokenNamespace === undefined) return FileTokenStore.open(tokenDir ?? '', '--token-dir', use);
  const [{ ApiClient }, { SecretTokenStore }] = await Promise.all([
    import('@fairlead/kubernetes'),
    import('./secret-token-store.ts'),
  ]);
  const api = new ApiClient({
    kubeconfig,
    userAgent: `fairlead/${release.version}`,
    onStale: ({ message }) => warn(message),
  });
  return new SecretTokenStore(api, tokenNamespace);
}
