import type { Logger } from '@fairlead/runtime/process';
import type { ServerOptions } from '../../options.ts';
import { version } from '../../version.ts';
import { TokenAuthenticator, type TokenAuthenticatorOptions } from './token-authenticator.ts';

/** Where --kubeconfig-qps and --kubeconfig-burst are 0: client-go's 5 and 10 would keep a fleet waiting for minutes. */
const defaultPerSecond = 50;
const defaultBurst = 100;

export interface TokenAuthentication {
  readonly authenticator: TokenAuthenticator;
  close(): void;
}

/**
 * Token authentication as the options say; undefined if they say nothing of it.
 * @throws UsageError when the Kubernetes API cannot be asked with what was given
 */
export async function createTokenAuthentication(
  options: ServerOptions,
  logger: Logger,
  onReview: TokenAuthenticatorOptions['onReview'],
): Promise<TokenAuthentication | undefined> {
  const { agentNamespace: namespace, agentServiceAccount: serviceAccount } = options;
  const { authenticationAudience: audience } = options;
  if (namespace === undefined || serviceAccount === undefined || audience === undefined) {
    return undefined;
  }
  const { ApiClient, reviewToken } = await import('@fairlead/kubernetes');
  const api = new ApiClient({
    kubeconfig: options.kubeconfig,
    rate: {
      perSecond: options.kubeconfigQps || defaultPerSecond,
      burst: options.kubeconfigBurst || defaultBurst,
    },
    userAgent: `fairlead-server/${version}`,
    onStale: ({ message }) => logger.warn({ detail: message }, 'kubeconfig cannot be read again'),
  });
  const authenticator = new TokenAuthenticator({
    wanted: { namespace, serviceAccount, audience },
    review: (token) => reviewToken(api, token, audience),
    ...(onReview && { onReview }),
  });
  return { authenticator, close: () => api.close() };
}
