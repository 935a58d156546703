import type { TokenReview } from '@fairlead/kubernetes';
import { cleanText, TunnelError } from '@fairlead/protocol';

/** What a token says of an agent, for as long as its tunnel lives; not the token itself. */
export interface AgentToken {
  /** `system:serviceaccount:NAMESPACE:NAME`. */
  readonly username: string;
  /** The node that the token is bound to; undefined for one that is bound to none. */
  readonly nodeName: string | undefined;
  /** The same for the agents of one node, or else of one pod, and different for all others. */
  readonly identity: string;
}

/** Whose tokens are taken. */
export interface WantedAccount {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly audience: string;
}

const nodeNameKey = 'authentication.kubernetes.io/node-name';
const podUidKey = 'authentication.kubernetes.io/pod-uid';

/**
 * The token of an agent's request: each Authorization header that it had.
 * @throws TunnelError `unauthenticated` unless there is one bearer token (RFC 6750 section 2.1)
 */
export function bearerToken(authorizations: readonly string[]): string {
  const [authorization, ...others] = authorizations;
  if (authorization === undefined) {
    throw new TunnelError(
      'unauthenticated',
      'no token was given: the agent needs --service-account-token-path',
    );
  }
  if (others.length > 0) {
    const text = `${authorizations.length} tokens were given, there must be one`;
    throw new TunnelError('unauthenticated', text);
  }
  const [, token] = /^Bearer +([\x21-\x7e]+)$/i.exec(authorization) ?? [];
  if (token === undefined) {
    const text = 'the Authorization is no bearer token ("Bearer TOKEN")';
    throw new TunnelError('unauthenticated', text);
  }
  return token;
}

/**
 * Judges what the Kubernetes API says of a token.
 * @throws TunnelError `unauthenticated` with the reason
 */
export function judgeReview(review: TokenReview, wanted: WantedAccount): AgentToken {
  const { isAuthenticated, error, audiences, username, extra } = review;
  const refuse = (text: string): never => {
    throw new TunnelError('unauthenticated', text);
  };
  if (error) refuse(`the Kubernetes API refused the token: ${cleanText(error)}`);
  if (!isAuthenticated) refuse('the Kubernetes API does not take the token for valid');
  // Without audiences in the answer, the token is for the Kubernetes API itself.
  if (!audiences.includes(wanted.audience)) {
    refuse(`the token is not for the audience "${wanted.audience}"`);
  }
  const parts = username.split(':');
  const [system, kind, namespace, account] = parts;
  if (parts.length !== 4 || system !== 'system' || kind !== 'serviceaccount') {
    refuse(`the token is of "${cleanText(username)}", which is no service account`);
  }
  if (namespace !== wanted.namespace) {
    const text = `the token is of namespace "${cleanText(namespace ?? '')}"`;
    refuse(`${text}, those of agents are of "${wanted.namespace}"`);
  }
  if (account !== wanted.serviceAccount) {
    const text = `the token is of service account "${cleanText(account ?? '')}"`;
    refuse(`${text}, those of agents are of "${wanted.serviceAccount}"`);
  }
  const nodeName = extra.get(nodeNameKey);
  const place = nodeName ?? extra.get(podUidKey) ?? '';
  return { username, nodeName, identity: `${username} ${place}` };
}
