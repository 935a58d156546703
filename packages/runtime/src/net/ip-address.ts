import { isIPv4, isIPv6 } from 'node:net';

/** An address in its canonical form, so that all spellings of an address are equal. */
export interface IpAddress {
  /** IPv4 with dots, or IPv6 as in RFC 5952, without brackets. */
  readonly text: string;
  readonly family: 4 | 6;
  /** As one unsigned number of 32 or 128 bits. */
  readonly value: bigint;
}

/** The addresses that share their first `prefixBits` bits. */
export interface IpNetwork {
  /** `10.0.0.0/8`, canonical. */
  readonly text: string;
  readonly family: 4 | 6;
  readonly value: bigint;
  readonly prefixBits: number;
}

/**
 * Reads an IPv4 address, or an IPv6 address without brackets. An IPv4-mapped address becomes IPv4, since the
 * kernel dials the same. A zone (`%eth0`) is dropped.
 *
 * @returns undefined for anything else
 */
export function parseIpAddress(text: string): IpAddress | undefined {
  if (isIPv4(text)) return { text, family: 4, value: ipv4Value(text) };
  if (!isIPv6(text)) return undefined;
  const value = ipv6Value(text.replace(/%.*$/, ''));
  return value >> 32n === mappedPrefix ? ipv4(value & low32) : ipv6(value);
}

/**
 * Reads a network in a policy: `10.0.0.0/8`, `fd00::/8`, or an address, which is a network of one.
 *
 * @returns undefined for anything else, including bits that are set beyond the prefix
 */
export function parseIpNetwork(text: string): IpNetwork | undefined {
  const [, address = '', digits] = /^([^/]+)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? [];
  const network = networkOf(address, digits);
  return network?.value === parseIpAddress(address)?.value ? network : undefined;
}

/**
 * Reads `ADDRESS/BITS` as Go's `net.ParseCIDR` does: bits beyond the prefix are cleared. Konnectivity's
 * manifests may rely on that. Networks of IPv4-mapped addresses become IPv4.
 *
 * @returns undefined for anything else
 */
export function parseCidr(text: string): IpNetwork | undefined {
  const [, address = '', digits] = /^([^/%]+)\/(\d{1,3})$/.exec(text) ?? [];
  return networkOf(address, digits);
}

/** @param digits of the prefix; undefined: all bits of the address */
function networkOf(address: string, digits: string | undefined): IpNetwork | undefined {
  const parsed = parseIpAddress(address);
  if (!parsed) return undefined;
  const { family } = parsed;
  const bits = bitsOf(parsed);
  // The prefix of a mapped network counts the 96 bits that the address loses when it becomes IPv4.
  const lostBits = family === 4 && !isIPv4(address) ? 96 : 0;
  const prefixBits = digits === undefined ? bits : Number(digits) - lostBits;
  if (prefixBits < 0 || prefixBits > bits) return undefined;
  const hostBits = BigInt(bits - prefixBits);
  const value = (parsed.value >> hostBits) << hostBits;
  const { text } = family === 4 ? ipv4(value) : ipv6(value);
  return { text: `${text}/${prefixBits}`, family, value, prefixBits };
}

/** Whether the network contains the address, or the whole other network. */
export function networkContains(network: IpNetwork, inner: IpAddress | IpNetwork): boolean {
  if (network.family !== inner.family) return false;
  if ('prefixBits' in inner && inner.prefixBits < network.prefixBits) return false;
  const hostBits = BigInt(bitsOf(network) - network.prefixBits);
  return network.value >> hostBits === inner.value >> hostBits;
}

/**
 * The second address that a connection to this one can reach:
 *
 * - the IPv4 address in a NAT64 address (64:ff9b::/96, RFC 6052; last 32 bits of 64:ff9b:1::/48, RFC 8215)
 * - the IPv4 address in a 6to4 address (2002::/16, RFC 3056)
 * - the IPv4 address in an IPv4-compatible address (::/96 except `::1`, RFC 4291 section 2.5.5.1)
 * - loopback for `0.0.0.0` and `::`, since Linux connects them to it
 */
export function embeddedAddress({ family, value }: IpAddress): IpAddress | undefined {
  if (family === 4) return value === 0n ? ipv4(loopbackValue) : undefined;
  if (value === 0n) return ipv6(1n);
  if (value === 1n) return undefined;
  if (prefixesOf96Bits.has(value >> 32n) || value >> 80n === localNat64Prefix) {
    return ipv4(value & low32);
  }
  if (value >> 112n === sixToFourPrefix) return ipv4((value >> 80n) & low32);
  return undefined;
}

const low32 = 0xffff_ffffn;
const mappedPrefix = 0xffffn;
/** Prefixes of NAT64 and of IPv4-compatible addresses. */
const prefixesOf96Bits = new Set([0x0064_ff9b_0000_0000_0000_0000n, 0n]);
const localNat64Prefix = 0x0064_ff9b_0001n;
const sixToFourPrefix = 0x2002n;
const loopbackValue = 0x7f00_0001n;

const bitsOf = ({ family }: { readonly family: 4 | 6 }): number => (family === 4 ? 32 : 128);

function ipv4Value(text: string): bigint {
  return text.split('.').reduce((value, part) => (value << 8n) | BigInt(part), 0n);
}

function ipv4(value: bigint): IpAddress {
  const parts = [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn);
  return { text: parts.join('.'), family: 4, value };
}

/** Uses the URL parser, which follows RFC 5952 and never writes a dotted tail. */
const canonicalIpv6 = (text: string): string => new URL(`http://[${text}]/`).hostname.slice(1, -1);

function ipv6Value(text: string): bigint {
  const [head = [], tail = []] = canonicalIpv6(text)
    .split('::')
    .map((part) => (part === '' ? [] : part.split(':')));
  const gap = new Array<string>(8 - head.length - tail.length).fill('0');
  return BigInt(`0x${[...head, ...gap, ...tail].map((part) => part.padStart(4, '0')).join('')}`);
}

function ipv6(value: bigint): IpAddress {
  const digits = value.toString(16).padStart(32, '0');
  return { text: canonicalIpv6(digits.match(/.{4}/g)!.join(':')), family: 6, value };
}
