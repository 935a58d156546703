import type { TLSSocket } from 'node:tls';
import { peerAddress } from '@fairlead/runtime/net';
import type { Caller } from './dial.ts';

/** The caller behind a TLS connection whose certificate was verified. */
export function callerOfTls(socket: TLSSocket): Caller {
  const subject = socket.getPeerCertificate().subject as CertificateSubject | undefined;
  // Of several common names the last one counts, as in Go and so in Kubernetes.
  const commonName = listOf(subject?.CN).at(-1);
  return {
    kind: 'mtls',
    ...(commonName !== undefined && { commonName }),
    organizations: listOf(subject?.O),
    address: peerAddress(socket),
  };
}

/** The caller behind a connection to the Unix domain socket at `path`. */
export function callerOfUds(path: string): Caller {
  return { kind: 'uds', organizations: [], address: path };
}

/** One word for log lines and for limits per caller: `uds`, or `mtls:` and the common name. */
export function callerName(caller: Caller): string {
  return caller.kind === 'uds' ? 'uds' : `mtls:${caller.commonName ?? ''}`;
}

/** What node really returns: an attribute that occurs twice is an array. */
interface CertificateSubject {
  readonly CN?: string | string[];
  readonly O?: string | string[];
}

function listOf(attribute: string | string[] | undefined): string[] {
  if (attribute === undefined) return [];
  return Array.isArray(attribute) ? attribute : [attribute];
}
