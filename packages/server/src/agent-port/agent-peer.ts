import type { TLSSocket } from 'node:tls';
import type { AgentCertificate } from './agent-certificate.ts';
import type { AgentToken } from './agent-token.ts';

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

/**
 * The reason why a connection may not carry a tunnel, or undefined when it may. This is the one place
 * that decides it by certificates, whatever protocol the peer goes on to speak; tokens are judged later, by
 * `TokenAuthenticator`.
 */
export function refusalOfPeer(socket: TLSSocket): string | undefined {
  // First, whatever Node says of authorization: a TLS session that began without a certificate counts as
  // authorized once it is resumed.
  if (Object.keys(socket.getPeerCertificate()).length === 0) {
    return 'no client certificate was given';
  }
  if (socket.authorized) return undefined;
  const reason = String(socket.authorizationError);
  return `the client certificate was refused: ${explanations.get(reason) ?? reason}`;
}

const explanations = new Map([
  ['CERT_HAS_EXPIRED', 'it has expired (CERT_HAS_EXPIRED)'],
  ['CERT_NOT_YET_VALID', 'it is not valid yet, check the clocks (CERT_NOT_YET_VALID)'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'another CA signed it (UNABLE_TO_VERIFY_LEAF_SIGNATURE)'],
  ['UNABLE_TO_GET_ISSUER_CERT', 'another CA signed it (UNABLE_TO_GET_ISSUER_CERT)'],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'another CA signed it (UNABLE_TO_GET_ISSUER_CERT_LOCALLY)'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'another CA signed it (SELF_SIGNED_CERT_IN_CHAIN)'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'it is self-signed (DEPTH_ZERO_SELF_SIGNED_CERT)'],
  ['INVALID_PURPOSE', 'it is not meant for clients (INVALID_PURPOSE)'],
]);
