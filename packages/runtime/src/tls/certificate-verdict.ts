/** Why a certificate is refused: one text for each verdict of OpenSSL, for servers, agents and issuer alike. */
import type { TLSSocket } from 'node:tls';

/** A certificate's dates, as both of Node's certificate classes write them. */
interface CertificateDates {
  readonly from: string;
  readonly to: string;
}

const unknownAuthority = 'a CA that is not trusted signed it';

/** OpenSSL's verdicts on a peer's certificate, by Node's names. */
const explanations: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'a CA above it has expired; check both clocks',
  CERT_NOT_YET_VALID: 'a CA above it is not valid yet; check both clocks',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unknownAuthority,
  SELF_SIGNED_CERT_IN_CHAIN: unknownAuthority,
  CERT_SIGNATURE_FAILURE: unknownAuthority,
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it is self-signed and not trusted',
  INVALID_PURPOSE: 'its extended key usage does not allow this use',
  ERR_TLS_CERT_ALTNAME_INVALID: 'it is for other names',
};

/**
 * Explains OpenSSL's verdict on a peer's certificate.
 *
 * @param dates of the peer's own certificate; undefined if it was not seen
 * @param clock names the clock that reads now: `the clock of this machine`
 * @returns the explanation with the verdict in parentheses; undefined for an unknown verdict
 */
export function explainVerdict(
  verdict: string,
  dates: CertificateDates | undefined,
  clock: string,
): string | undefined {
  const isAboutDates = verdict === 'CERT_HAS_EXPIRED' || verdict === 'CERT_NOT_YET_VALID';
  const fault = isAboutDates && dates ? explainDates(dates, clock) : undefined;
  const explanation = fault ? `it ${fault}; check both clocks` : explanations[verdict];
  return explanation && `${explanation} (${verdict})`;
}

/**
 * Explains why a certificate is not valid now, with both times, since a clock may be wrong.
 *
 * @param clock names the clock that reads `now`
 * @returns undefined if it is valid
 */
export function explainDates(
  { from, to }: CertificateDates,
  clock: string,
  now: Date = new Date(),
): string | undefined {
  const [notBefore, notAfter] = [new Date(from), new Date(to)];
  const says = `and ${clock} says ${now.toISOString()}`;
  if (notAfter < now) return `expired at ${notAfter.toISOString()}, ${says}`;
  if (notBefore > now) return `is not valid before ${notBefore.toISOString()}, ${says}`;
  return undefined;
}

/**
 * Why a TLS client's certificate is refused; undefined if it is accepted. Listeners that accept any
 * certificate in the handshake, so that they can send the reason afterwards, decide here and only here.
 */
export function refusalOfPeer(socket: TLSSocket): string | undefined {
  // Before `authorized`, which is true for a resumed session even if it began without a certificate.
  const { valid_from: from, valid_to: to } = socket.getPeerCertificate();
  if (to === undefined) return 'no client certificate was given';
  if (socket.authorized) return undefined;
  // The peer receives this text, so it names the clock.
  const clock = 'the clock of the side that refused it';
  const verdict = String(socket.authorizationError);
  const why = explainVerdict(verdict, { from, to }, clock) ?? verdict;
  return `the client certificate was refused: ${why}`;
}
