import type { TLSSocket } from 'node:tls';
import type { AgentCertificate } from './agent-certificate.ts';

/** Who is behind a connection on the agent port, as far as its certificate says. */
export interface AgentPeer {
  /** For logs: `host:port`. */
  readonly address: string;
  /** Of the certificate's subject. */
  readonly commonName: string | undefined;
  readonly certificate: AgentCertificate | undefined;
}

/**
 * The reason why a connection may not carry a tunnel, or undefined when it may. This is the one place
 * that decides it, whatever protocol the peer goes on to speak.
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
