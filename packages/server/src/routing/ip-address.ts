import { isIP, SocketAddress } from 'node:net';

/** An address in its one canonical spelling, with its family. */
export interface IpAddress {
  readonly family: 4 | 6;
  /** RFC 5952 for IPv6; equal addresses have equal texts. */
  readonly text: string;
}

/** Addresses that the two families share by IPv4-mapping end in the last 32 of 128 bits. */
const mappedPrefix = '::ffff:';
export const MAPPED_PREFIX_BITS = 96;

/**
 * Reads an address in any spelling; an IPv4-mapped IPv6 address is the IPv4 address.
 * @returns undefined for what is none, zoned ones (`fe80::1%eth0`) included: a zone means something on
 *   one host only
 */
export function parseIpAddress(text: string): IpAddress | undefined {
  const family = isIP(text);
  if (family === 4) return { family, text };
  if (family !== 6 || text.includes('%')) return undefined;
  const canonical = new SocketAddress({ address: text, family: 'ipv6' }).address;
  if (canonical.startsWith(mappedPrefix)) {
    const mapped = canonical.slice(mappedPrefix.length);
    if (isIP(mapped) === 4) return { family: 4, text: mapped };
  }
  return { family, text: canonical };
}

/** An address that is canonical already. */
export function canonicalAddress(text: string): IpAddress {
  return { family: text.includes(':') ? 6 : 4, text };
}

/** How many bits addresses of a family have. */
export function widthOf(family: 4 | 6): number {
  return family === 4 ? 32 : 128;
}

/** The address as a number of 32 or 128 bits. */
export function bitsOf({ family, text }: IpAddress): bigint {
  return family === 4 ? ipv4Bits(text) : ipv6Bits(text);
}

/** The address with these bits. */
export function addressOfBits(family: 4 | 6, bits: bigint): IpAddress {
  if (family === 4) {
    const octets = [24n, 16n, 8n, 0n].map((shift) => (bits >> shift) & 0xffn);
    return { family, text: octets.join('.') };
  }
  const groups = Array.from({ length: 8 }, (_, index) =>
    ((bits >> BigInt(112 - 16 * index)) & 0xffffn).toString(16),
  );
  return parseIpAddress(groups.join(':'))!;
}

function ipv4Bits(text: string): bigint {
  return BigInt(text.split('.').reduce((bits, octet) => bits * 256 + Number(octet), 0));
}

/** @param text canonical; it may end in dotted form (`::1.2.3.4`) */
function ipv6Bits(text: string): bigint {
  const dotted = /^(.*:)([\d.]+\.\d+)$/.exec(text);
  if (dotted) {
    const low = ipv4Bits(dotted[2]!);
    return ipv6Bits(`${dotted[1]}0:0`) | low;
  }
  const [head = '', tail] = text.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = new Array<string>(8 - left.length - right.length).fill('0');
  const hex = [...left, ...zeros, ...right].map((group) => group.padStart(4, '0')).join('');
  return BigInt(`0x${hex}`);
}
