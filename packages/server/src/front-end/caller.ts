import type { TLSSocket } from 'node:tls';
import { peerAddress } from '@fairlead/runtime/net';

/** The client that asks for a stream, as its listener identified it. */
export interface Caller {
  readonly kind: 'uds' | 'mtls';
  /** The certificate's common name; never set for `uds`. */
  readonly commonName?: string;
  /** The certificate's organizations, which Kubernetes reads as groups. */
  readonly organizations: readonly string[];
  /** For logs: `host:port` of the peer, or the socket path. */
  readonly address: string;
}

/** The caller of a TLS connection whose certificate was verified. */
export function callerOfTls(socket: TLSSocket): Caller {
  // Node's type does not say that an attribute which occurs twice is an array.
  const subject = socket.getPeerCertificate().subject as
    | { readonly CN?: string | string[]; readonly O?: string | string[] }
    | undefined;
  // Of several common names the last one counts, as in Go and so in Kubernetes.
  const commonName = [subject?.CN ?? []].flat().at(-1);
  return {
    kind: 'mtls',
    ...(commonName !== undefined && { commonName }),
    organizations: [subject?.O ?? []].flat(),
    address: peerAddress(socket),
  };
}

/** The caller's name in log lines and limits: `uds`, or `mtls:` and the common name. */
export function callerName(caller: Caller): string {
  return caller.kind === 'uds' ? 'uds' : `mtls:${caller.commonName ?? ''}`;
}
