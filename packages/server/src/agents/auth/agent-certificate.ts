import type { TLSSocket } from 'node:tls';
import { type CertificateIdentity, identityOf, peerCertificate } from '@fairlead/runtime/tls';
import { type ClaimConstraints, constraintsOf } from './claim-constraints.ts';

/** What is needed of an agent's certificate for as long as its tunnel lives. */
export interface AgentCertificate extends CertificateIdentity {
  readonly constraints: ClaimConstraints;
}

/** The certificate that the peer of a TLS connection showed; undefined if it showed none. */
export function certificateOf(socket: TLSSocket): AgentCertificate | undefined {
  const certificate = peerCertificate(socket);
  if (!certificate) return undefined;
  return { ...identityOf(certificate), constraints: constraintsOf(certificate) };
}
