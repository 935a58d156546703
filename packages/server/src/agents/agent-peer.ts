import type { TLSSocket } from 'node:tls';
import { peerAddress } from '@fairlead/runtime/net';
import {
  type CertificateIdentity,
  peerCertificate,
  identityOf as proofOf,
} from '@fairlead/runtime/tls';
import { callerOfTls } from '../front-end/caller.ts';
import type { AgentToken } from './auth/agent-token.ts';
import { type ClaimConstraints, constraintsOf } from './auth/claim-constraints.ts';

/** A peer on the agent port, with the identity that its certificate and its token prove. */
export interface AgentPeer {
  /** `host:port`, for logs. */
  readonly address: string;
  /** From the certificate's subject. */
  readonly commonName: string | undefined;
  readonly certificate:
    | (CertificateIdentity & { readonly constraints: ClaimConstraints })
    | undefined;
  /** Set once the token is verified; undefined without token authentication. */
  readonly token?: AgentToken | undefined;
}

/** The peer of a TLS connection, by its certificate alone. */
export function peerOf(socket: TLSSocket): AgentPeer {
  const certificate = peerCertificate(socket);
  return {
    address: peerAddress(socket),
    commonName: callerOfTls(socket).commonName,
    certificate: certificate && {
      ...proofOf(certificate),
      constraints: constraintsOf(certificate),
    },
  };
}

/** Equal for two connections of one agent, different for two agents. */
export function identityOf({ certificate, token }: AgentPeer): string | undefined {
  return certificate?.fingerprint ?? token?.identity;
}

/** A name for logs and refusals. */
export function nameOf({ commonName, token }: AgentPeer): string | undefined {
  if (commonName !== undefined || !token) return commonName;
  return token.nodeName === undefined ? token.username : `${token.username} on ${token.nodeName}`;
}

/** The fields that identify a peer in log lines. */
export function peerFields({ address, commonName, token }: AgentPeer): object {
  return { address, commonName, account: token?.username, node: token?.nodeName };
}
