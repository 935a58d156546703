import type { RequestOptions } from 'node:https';
import type { CredentialPlugin } from './kube-config.ts';

/** What a credential plugin gives: a header, or a client certificate. */
export interface PluginCredentials {
  readonly authorization?: string;
  readonly cert?: string;
  readonly key?: string;
}

type User = Parameters<
  import('@kubernetes/client-node/dist/exec_auth.js').ExecAuth['applyAuthentication']
>[0];

/**
 * Runs what a kubeconfig names: a program (KEP-541) or an OpenID provider.
 *
 * Of @kubernetes/client-node only the file at hand is loaded: its index, and with it KubeConfig, loads a
 * model for every kind of object that Kubernetes has, which takes 70 MiB and some seconds.
 */
export class PluginRunner {
  #authenticator: Promise<Authenticator> | undefined;

  /** @throws Error with what the program or the provider said */
  async run({ userName, exec, oidc }: CredentialPlugin): Promise<PluginCredentials> {
    this.#authenticator ??= loadAuthenticator(exec !== undefined);
    const authenticator = await this.#authenticator;
    const options: RequestOptions & { headers: Record<string, string> } = { headers: {} };
    const user: User = {
      name: userName,
      ...(exec && { exec: { ...exec, env: [...(exec.env ?? []), execInfo(exec.apiVersion)] } }),
      ...(oidc && { authProvider: oidc }),
    };
    await authenticator.applyAuthentication(user, options);
    const { headers, cert, key } = options;
    return {
      ...(headers.Authorization !== undefined && { authorization: headers.Authorization }),
      ...(cert !== undefined && { cert: String(cert) }),
      ...(key !== undefined && { key: String(key) }),
    };
  }
}

interface Authenticator {
  applyAuthentication(user: User, options: RequestOptions): Promise<void>;
}

async function loadAuthenticator(isExec: boolean): Promise<Authenticator> {
  if (isExec) {
    const { ExecAuth } = await import('@kubernetes/client-node/dist/exec_auth.js');
    return new ExecAuth();
  }
  const { OpenIDConnectAuth } = await import('@kubernetes/client-node/dist/oidc_auth.js');
  return new OpenIDConnectAuth();
}

/** Programs look here for the version of the answer that is wanted; client-node does not say it. */
function execInfo(apiVersion = 'client.authentication.k8s.io/v1') {
  const info = { apiVersion, kind: 'ExecCredential', spec: { interactive: false } };
  return { name: 'KUBERNETES_EXEC_INFO', value: JSON.stringify(info) };
}
