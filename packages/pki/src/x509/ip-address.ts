import { isIPv4, isIPv6 } from 'node:net';

/** An address in its one canonical spelling, with its bytes in network order (4 or 16). */
export interface IpAddress {
  readonly text: string;
  readonly bytes: Buffer;
}

/**
 * Parses an IPv4 or bare IPv6 address; undefined for anything else.
 *
 * Brackets, zones (`fe80::1%eth0`) and IPv4-mapped IPv6 are not accepted: none of them would ever
 * compare equal to the address that a TLS peer sees.
 */
export function parseIpAddress(text: string): IpAddress | undefined {
  if (isIPv4(text)) return { text, bytes: Buffer.from(text.split('.').map(Number)) };
  if (!isIPv6(text) || text.includes('%')) return undefined;
  // The URL parser is Node's only canonicaliser that never answers with a dotted tail (`::1.2.3.4`).
  const canonical = new URL(`http://[${text}]/`).hostname.slice(1, -1);
  const bytes = bytesOfIpv6(canonical);
  return MAPPED_PREFIX.equals(bytes.subarray(0, 12)) ? undefined : { text: canonical, bytes };
}

/** ::ffff:0:0/96 (RFC 4291, 2.5.5.2). */
const MAPPED_PREFIX = Buffer.from('00000000000000000000ffff', 'hex');

/** From groups of hexadecimal digits, with at most one `::`. */
function bytesOfIpv6(canonical: string): Buffer {
  const [head = [], tail = []] = canonical
    .split('::')
    .map((part) => (part === '' ? [] : part.split(':')));
  const gap = new Array<string>(8 - head.length - tail.length).fill('0');
  const groups = [...head, ...gap, ...tail];
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex');
}
