import { formatHostPort } from './host-port.ts';

/** `host:port` of a connection's peer, IPv6 in brackets; `unknown` once it is gone. */
export function peerAddress(socket: {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}): string {
  const { remoteAddress: host, remotePort: port } = socket;
  return host === undefined || port === undefined ? 'unknown' : formatHostPort({ host, port });
}
