import { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { parseAlternativeNames } from './alternative-names.ts';

/** By what a certificate can be told from others, as deny lists and logs need it. */
export interface CertificateIdentity {
  /** Hexadecimal, lower case, without leading zeros. */
  readonly serialNumber: string;
  /** SHA-256 of the whole certificate, hexadecimal, lower case. */
  readonly fingerprint: string;
  /** The ID of the token by which the agent joined; its renewed certificates carry it on. */
  readonly enrollment: string | undefined;
}

const enrollmentUri = 'fairlead:enrolment=';

/**
 * The certificate that the peer of a TLS connection showed, also on a resumed session; undefined if it
 * showed none. Not by getPeerX509Certificate, after which Node 20's own accessor lacks the names.
 */
export function peerCertificate(socket: TLSSocket): X509Certificate | undefined {
  const der = socket.getPeerCertificate().raw as Buffer | undefined;
  return der && new X509Certificate(der);
}

/** Its subject in one line. */
export const subjectOf = ({ subject }: X509Certificate): string => subject.replaceAll('\n', ', ');

/** An enrollment token's ID: letters and digits of RFC 4648 section 6, in lower case. */
export const isEnrollmentId = (text: string): boolean => /^[a-z2-7]+$/.test(text);

/** What tells the certificate from others. */
export function identityOf(certificate: X509Certificate): CertificateIdentity {
  const names = parseAlternativeNames(certificate.subjectAltName ?? '') ?? [];
  const enrollment = names.find(
    ({ type, value }) => type === 'URI' && value.startsWith(enrollmentUri),
  );
  return {
    serialNumber: canonicalSerial(certificate.serialNumber),
    fingerprint: canonicalHex(certificate.fingerprint256),
    enrollment: enrollment?.value.slice(enrollmentUri.length),
  };
}

/** Hexadecimal digits as openssl prints them, without colons and in lower case. */
export function canonicalHex(text: string): string {
  return text.replaceAll(':', '').toLowerCase();
}

/** The same without leading zeros. */
export const canonicalSerial = (text: string): string => canonicalHex(text).replace(/^0+(?=.)/, '');
