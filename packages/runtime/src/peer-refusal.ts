import type { TLSSocket } from 'node:tls';

/**
 * The reason why the certificate of a TLS client is not good enough, or undefined when it is. This is the
 * one place that decides it, for listeners that take any certificate in the handshake so as to be able to
 * tell the reason afterwards.
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
