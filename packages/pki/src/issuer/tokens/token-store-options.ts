/** Where tokens are kept, for the tables of the issuer and of `fairlead token`. */
import { kinds, kubernetesOptions, option } from '@fairlead/runtime/options';
import { UsageError } from '@fairlead/runtime/process';

const group = 'Tokens';

export const tokenPlaceOptions = {
  'token-dir': option(
    { ...kinds.filePath, placeholder: 'DIR' },
    {
      group,
      description:
        'Directory of the tokens, which hold no secret; made with mode 0700 if it is missing',
    },
  ),
  'token-namespace': option(
    { ...kinds.text, placeholder: 'NAMESPACE' },
    {
      group,
      description:
        'Namespace of a Kubernetes cluster whose Secrets hold the tokens, in the place of --token-dir: for several issuers at once',
    },
  ),
  kubeconfig: kubernetesOptions.kubeconfig,
};

/** What says where tokens are kept. */
export interface TokenPlace {
  readonly tokenDir: string | undefined;
  readonly tokenNamespace: string | undefined;
  /** For `tokenNamespace`; without it the service account of the pod. */
  readonly kubeconfig: string | undefined;
}

/** A DNS label (RFC 1123), as names of namespaces are. */
const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** @throws UsageError unless exactly one place is named */
export function checkTokenPlace({ tokenDir, tokenNamespace }: TokenPlace): void {
  if (tokenDir !== undefined && tokenNamespace !== undefined) {
    throw new UsageError(
      '--token-dir and --token-namespace exclude each other: tokens are in files or in Secrets',
    );
  }
  if (tokenDir === undefined && tokenNamespace === undefined) {
    throw new UsageError(
      '--token-dir is missing: give the directory of the tokens, or a --token-namespace for Secrets of a cluster',
    );
  }
  if (tokenNamespace !== undefined && !label.test(tokenNamespace)) {
    throw new UsageError(
      `--token-namespace: "${tokenNamespace}" is not the name of a namespace: lower-case letters, digits and "-", at most 63`,
    );
  }
}
