import type { RequestOptions } from 'node:https';
import type { CredentialPlugin } from './kube-config.ts';

type User = Parameters<
  import('@kubernetes/client-node/dist/exec_auth.js').ExecAuth['applyAuthentication']
>[0];

/**
 * Runs a kubeconfig's credential plugin: a program (KEP-541) or an OpenID provider.
 *
 * Imports single files of @kubernetes/client-node: its index loads the models of all Kubernetes objects,
 * which takes 70 MiB and some seconds.
 */
export class PluginRunner {
  #authenticator: Promise<Authenticator> | undefined;

  /**
   * @returns a header, or a client certificate
   * @throws Error with the message of the program or the provider
   */
  async run({ userName, exec, oidc }: CredentialPlugin) {
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

/** The variable from which plugins read the wanted API version; client-node does not set it. */
function execInfo(apiVersion = 'client.authentication.k8s.io/v1') {
  const info = { apiVersion, kind: 'ExecCredential', spec: { interactive: false } };
  return { name: 'KUBERNETES_EXEC_INFO', value: JSON.stringify(info) };
}
