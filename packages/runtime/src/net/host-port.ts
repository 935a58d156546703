import { readHost } from './read-host.ts';

/** A host, IPv6 without brackets, and a port from 1 to 65535. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** Reads `HOST:PORT`, IPv6 as `[ADDRESS]:PORT`; undefined for anything else. */
export function parseHostPort(text: string): HostPort | undefined {
  const match = /^(\[[^\]]*\]|[^:[\]]+):([1-9]\d{0,4})$/.exec(text);
  const host = match ? readHost(match[1]!) : undefined;
  const port = Number(match?.[2]);
  return host !== undefined && port <= 65_535 ? { host, port } : undefined;
}

/** The text that `parseHostPort` reads. */
export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
