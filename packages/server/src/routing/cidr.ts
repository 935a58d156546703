import { ipAddressOf, parseIpAddress } from '@fairlead/runtime/net';

/** A network in its one canonical spelling: no bit beyond the prefix is set. */
export interface Cidr {
  /** Canonical, the network's first address. */
  readonly address: string;
  /** Bits that all addresses of the network share. */
  readonly prefix: number;
}

/** How many of its bits an IPv4-mapped IPv6 address loses when it is read as IPv4. */
const mappedBits = 96;

/**
 * Reads `ADDRESS/BITS`. Unlike in a policy, where they are a mistake, bits beyond the prefix are cleared,
 * as Go does it and Konnectivity's manifests may rely on. Networks of IPv4-mapped addresses
 * (`::ffff:10.0.0.0/104`) are those of IPv4.
 * @returns undefined for what is none
 */
export function parseCidr(text: string): Cidr | undefined {
  const match = /^([^/%]+)\/(\d{1,3})$/.exec(text);
  const address = match && parseIpAddress(match[1]!);
  if (!match || !address) return undefined;
  const { family, value } = address;
  const isMapped = family === 4 && match[1]!.includes(':');
  const prefix = Number(match[2]) - (isMapped ? mappedBits : 0);
  const width = family === 4 ? 32 : 128;
  if (prefix < 0 || prefix > width) return undefined;
  const shift = BigInt(width - prefix);
  return { address: ipAddressOf(family, (value >> shift) << shift).text, prefix };
}
