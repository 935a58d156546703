import type { AgentCertificate } from './auth/agent-certificate.ts';
import type { AgentToken } from './auth/agent-token.ts';

/** Who is behind a connection on the agent port, as far as its certificate and its token say. */
export interface AgentPeer {
  /** For logs: `host:port`. */
  readonly address: string;
  /** Of the certificate's subject. */
  readonly commonName: string | undefined;
  readonly certificate: AgentCertificate | undefined;
  /** With token authentication, once the token is judged. */
  readonly token?: AgentToken | undefined;
}

/** What two connections of one agent have in common, and those of two agents have not. */
export function identityOf(peer: {
  readonly certificate: { readonly fingerprint: string } | undefined;
  readonly token?: { readonly identity: string } | undefined;
}): string | undefined {
  return peer.certificate?.fingerprint ?? peer.token?.identity;
}

/** A name for logs and refusals. */
export function nameOf({ commonName, token }: AgentPeer): string | undefined {
  if (commonName !== undefined || !token) return commonName;
  return token.nodeName === undefined ? token.username : `${token.username} on ${token.nodeName}`;
}
