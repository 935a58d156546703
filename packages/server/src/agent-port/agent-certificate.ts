import { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { type ClaimConstraints, constraintsOf } from './claim-constraints.ts';

/** What is needed of an agent's certificate for as long as its tunnel lives. */
export interface AgentCertificate {
  /** Hexadecimal, lower case, without leading zeros. */
  readonly serialNumber: string;
  /** SHA-256 of the whole certificate, hexadecimal, lower case. */
  readonly fingerprint: string;
  readonly constraints: ClaimConstraints;
}

/**
 * The certificate that the peer of a TLS connection showed, also on a resumed session; undefined if it
 * showed none. Not by getPeerX509Certificate, after which Node 20's own accessor lacks the names.
 */
export function certificateOf(socket: TLSSocket): AgentCertificate | undefined {
  const der = socket.getPeerCertificate().raw as Buffer | undefined;
  if (!der) return undefined;
  const certificate = new X509Certificate(der);
  return {
    serialNumber: canonicalHex(certificate.serialNumber).replace(/^0+(?=.)/, ''),
    fingerprint: canonicalHex(certificate.fingerprint256),
    constraints: constraintsOf(certificate),
  };
}

/** Hexadecimal digits as openssl prints them, without colons and in lower case. */
export function canonicalHex(text: string): string {
  return text.replaceAll(':', '').toLowerCase();
}
