import { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';

/** What identifies a certificate in deny lists and logs. */
export interface CertificateIdentity {
  /** Hexadecimal, lower case, without leading zeros. */
  readonly serialNumber: string;
  /** SHA-256 of the whole certificate, hexadecimal, lower case. */
  readonly fingerprint: string;
  /** The ID of the token with which the agent joined; renewed certificates keep it. */
  readonly enrollment: string | undefined;
}

const enrollmentUri = 'fairlead:enrolment=';

/**
 * The peer's certificate, also on a resumed session; undefined without one. Does not use
 * getPeerX509Certificate: after it, getPeerCertificate of Node 20 returns no names.
 */
export function peerCertificate(socket: TLSSocket): X509Certificate | undefined {
  const der = socket.getPeerCertificate().raw as Buffer | undefined;
  return der && new X509Certificate(der);
}

export const subjectOf = ({ subject }: X509Certificate): string => subject.replaceAll('\n', ', ');

/** Whether a text can be a token's ID: the alphabet of RFC 4648 section 6, in lower case. */
export const isEnrollmentId = (text: string): boolean => /^[a-z2-7]+$/.test(text);

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

/** Hexadecimal digits as openssl prints them, in lower case and without colons. */
export function canonicalHex(text: string): string {
  return text.replaceAll(':', '').toLowerCase();
}

/** `canonicalHex` without leading zeros. */
export const canonicalSerial = (text: string): string => canonicalHex(text).replace(/^0+(?=.)/, '');

const entry = /([A-Za-z][A-Za-z0-9 ]*):((?:[^,"]|"(?:[^"\\]|\\.)*")*)(?:, |$)/y;

/**
 * Splits `X509Certificate.subjectAltName`. Node writes a value with a comma or a quote as a JSON string, so
 * that it cannot look like another entry (CVE-2021-44532).
 *
 * @returns types as OpenSSL names them (`DNS`, `IP Address`, `URI`), and values; undefined if any part has
 *   another form, since then no part can be trusted
 */
export function parseAlternativeNames(
  text: string,
): { readonly type: string; readonly value: string }[] | undefined {
  const names: { type: string; value: string }[] = [];
  entry.lastIndex = 0;
  while (entry.lastIndex < text.length) {
    const found = entry.exec(text);
    if (!found) return undefined;
    const [whole, type = '', written = ''] = found;
    if (entry.lastIndex === text.length && whole.endsWith(', ')) return undefined;
    const value = written.startsWith('"') ? jsonString(written) : written;
    if (value === undefined) return undefined;
    names.push({ type, value });
  }
  return names;
}

function jsonString(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}
