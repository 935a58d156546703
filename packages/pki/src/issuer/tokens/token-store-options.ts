/** The options that select the token store, for the tables of the issuer and of `fairlead token`. */
import { kinds, kubernetesOptions, type OptionValues, option } from '@fairlead/runtime/options';
import { UsageError } from '@fairlead/runtime/process';

const group = 'Tokens';

export const tokenStoreOptions = {
  'token-dir': option(
    { ...kinds.filePath, placeholder: 'DIR' },
    {
      group,
      description:
        'Directory of the token store, which contains no secrets; created with mode 0700 if it is missing',
    },
  ),
  'token-namespace': option(
    { ...kinds.text, placeholder: 'NAMESPACE' },
    {
      group,
      description:
        'Kubernetes namespace whose Secrets are the token store, instead of --token-dir: for several issuers at once',
    },
  ),
  kubeconfig: kubernetesOptions.kubeconfig,
};

export type TokenStoreOptions = OptionValues<typeof tokenStoreOptions>;

/** A DNS label (RFC 1123), as names of namespaces are. */
const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** @throws UsageError unless the options select exactly one token store */
export function checkTokenStoreOptions({ tokenDir, tokenNamespace }: TokenStoreOptions): void {
  if (tokenDir !== undefined && tokenNamespace !== undefined) {
    throw new UsageError(
      '--token-dir and --token-namespace are both given: tokens are either in files or in Secrets; give one of them',
    );
  }
  if (tokenDir === undefined && tokenNamespace === undefined) {
    throw new UsageError(
      '--token-dir is missing: give the directory of the token store, or --token-namespace to use Secrets of a cluster',
    );
  }
  if (tokenNamespace !== undefined && !label.test(tokenNamespace)) {
    throw new UsageError(
      `--token-namespace: "${tokenNamespace}" is not a valid namespace name: use lower-case letters, digits and "-", at most 63`,
    );
  }
}
