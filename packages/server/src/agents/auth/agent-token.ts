import type { TokenReview } from '@fairlead/kubernetes';
import { cleanText, TunnelError } from '@fairlead/protocol';
import type { TokenAuthenticatorOptions } from './token-authenticator.ts';

/** What a verified token proves about an agent. The token itself is not kept. */
export interface AgentToken {
  /** `system:serviceaccount:NAMESPACE:NAME`. */
  readonly username: string;
  /** The node that the token is bound to, if any. */
  readonly nodeName: string | undefined;
  /** Equal for the agents of one node (without a node: of one pod), different for all others. */
  readonly identity: string;
}

const nodeNameKey = 'authentication.kubernetes.io/node-name';
const podUidKey = 'authentication.kubernetes.io/pod-uid';

/**
 * All Authorization headers of a request. Node's parsed headers omit all but the first.
 * @param rawHeaders alternating names and values
 */
export function authorizationsOf(rawHeaders: readonly string[]): string[] {
  return rawHeaders.filter(
    (_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === 'authorization',
  );
}

/**
 * The token in a request's Authorization headers.
 * @throws TunnelError `unauthenticated` unless there is one bearer token (RFC 6750 section 2.1)
 */
export function bearerToken(authorizations: readonly string[]): string {
  const [authorization, ...others] = authorizations;
  if (authorization === undefined) {
    throw new TunnelError(
      'unauthenticated',
      'the agent sent no token: set --service-account-token-path on the agent',
    );
  }
  if (others.length > 0) {
    const text = `the agent sent ${authorizations.length} tokens: it must send one`;
    throw new TunnelError('unauthenticated', text);
  }
  const [, token] = /^Bearer +([\x21-\x7e]+)$/i.exec(authorization) ?? [];
  if (token === undefined) {
    const text = 'the Authorization header is not a bearer token ("Bearer TOKEN")';
    throw new TunnelError('unauthenticated', text);
  }
  return token;
}

/**
 * Checks the Kubernetes API's review of a token against the service account and audience of agents.
 * @throws TunnelError `unauthenticated` with the reason
 */
export function checkReview(
  review: TokenReview,
  wanted: TokenAuthenticatorOptions['wanted'],
): AgentToken {
  const { isAuthenticated, error, audiences, username, extra } = review;
  const refuse = (text: string): never => {
    throw new TunnelError('unauthenticated', text);
  };
  if (error) refuse(`the Kubernetes API refused the token: ${cleanText(error)}`);
  if (!isAuthenticated) refuse('the token is invalid according to the Kubernetes API');
  // A review without audiences means that the token is for the Kubernetes API itself.
  if (!audiences.includes(wanted.audience)) {
    refuse(`the token is not for the audience "${wanted.audience}"`);
  }
  const parts = username.split(':');
  const [system, kind, namespace, account] = parts;
  if (parts.length !== 4 || system !== 'system' || kind !== 'serviceaccount') {
    refuse(`the token belongs to "${cleanText(username)}", which is not a service account`);
  }
  if (namespace !== wanted.namespace) {
    const text = `the token belongs to namespace "${cleanText(namespace ?? '')}"`;
    refuse(`${text}, but agents belong to "${wanted.namespace}" (--agent-namespace)`);
  }
  if (account !== wanted.serviceAccount) {
    const text = `the token belongs to service account "${cleanText(account ?? '')}"`;
    refuse(`${text}, but agents use "${wanted.serviceAccount}" (--agent-service-account)`);
  }
  const nodeName = extra.get(nodeNameKey);
  const boundTo = nodeName ?? extra.get(podUidKey) ?? '';
  return { username, nodeName, identity: `${username} ${boundTo}` };
}
