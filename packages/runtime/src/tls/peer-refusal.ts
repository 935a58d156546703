import type { TLSSocket } from 'node:tls';
import { explainUntimely } from './certificate-dates.ts';

/**
 * The reason why the certificate of a TLS client is not good enough, or undefined when it is. This is the
 * one place that decides it, for listeners that take any certificate in the handshake so as to be able to
 * tell the reason afterwards.
 */
export function refusalOfPeer(socket: TLSSocket): string | undefined {
  // First, whatever Node says of authorization: a TLS session that began without a certificate counts as
  // authorized once it is resumed.
  const { valid_from: from, valid_to: to } = socket.getPeerCertificate();
  if (to === undefined) {
    return 'no client certificate was given';
  }
  if (socket.authorized) return undefined;
  const reason = String(socket.authorizationError);
  const dates = explainUntimely(reason, { from, to }, refuserClock);
  const why = dates ? `${dates} (${reason})` : explanations.get(reason);
  return `the client certificate was refused: ${why ?? reason}`;
}

/** The text is for the peer as well. */
const refuserClock = 'the clock of the side that refused it';

const explanations = new Map([
  ['CERT_HAS_EXPIRED', 'a CA above it has expired (CERT_HAS_EXPIRED)'],
  ['CERT_NOT_YET_VALID', 'a CA above it is not valid yet, check the clocks (CERT_NOT_YET_VALID)'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'another CA signed it (UNABLE_TO_VERIFY_LEAF_SIGNATURE)'],
  ['UNABLE_TO_GET_ISSUER_CERT', 'another CA signed it (UNABLE_TO_GET_ISSUER_CERT)'],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'another CA signed it (UNABLE_TO_GET_ISSUER_CERT_LOCALLY)'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'another CA signed it (SELF_SIGNED_CERT_IN_CHAIN)'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'it is self-signed (DEPTH_ZERO_SELF_SIGNED_CERT)'],
  ['INVALID_PURPOSE', 'it is not meant for clients (INVALID_PURPOSE)'],
]);
