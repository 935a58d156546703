import { isIP } from 'node:net';

/** A host, IPv6 without brackets, and a port from 1 to 65535. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

const hostName =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?$/i;

/**
 * Reads an IPv4 address, an IPv6 address with or without brackets, or a host name.
 * @returns the host without brackets; undefined if the text is none of these
 */
export function parseHost(text: string): string | undefined {
  const bracketed = /^\[(.*)\]$/.exec(text)?.[1];
  if (bracketed !== undefined) return isIP(bracketed) === 6 ? bracketed : undefined;
  if (isIP(text) !== 0) return text;
  // Only digits and dots: a mistyped address, not a name.
  return hostName.test(text) && !/^[\d.]+$/.test(text) ? text : undefined;
}

/** Reads `HOST:PORT`, IPv6 as `[ADDRESS]:PORT`; undefined for anything else. */
export function parseHostPort(text: string): HostPort | undefined {
  const match = /^(\[[^\]]*\]|[^:[\]]+):([1-9]\d{0,4})$/.exec(text);
  const host = match ? parseHost(match[1]!) : undefined;
  const port = Number(match?.[2]);
  return host !== undefined && port <= 65_535 ? { host, port } : undefined;
}

export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** `host:port` of a connection's peer; `unknown` after the connection was closed. */
export function peerAddress(socket: {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}): string {
  const { remoteAddress: host, remotePort: port } = socket;
  return host === undefined || port === undefined ? 'unknown' : formatHostPort({ host, port });
}
