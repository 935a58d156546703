import { isIP } from 'node:net';

const hostName =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?$/i;

/** An IPv4 or IPv6 address (brackets are taken off) or a host name; undefined for anything else. */
export function readHost(written: string): string | undefined {
  const bracketed = /^\[(.*)\]$/.exec(written)?.[1];
  if (bracketed !== undefined) return isIP(bracketed) === 6 ? bracketed : undefined;
  if (isIP(written) !== 0) return written;
  // Four numbers that are no address are a mistyped address, not a name.
  return hostName.test(written) && !/^[\d.]+$/.test(written) ? written : undefined;
}
