import {
  addressOfBits,
  bitsOf,
  type IpAddress,
  MAPPED_PREFIX_BITS,
  parseIpAddress,
  widthOf,
} from './ip-address.ts';

/** A network in its one canonical spelling: no bit beyond the prefix is set. */
export interface Cidr {
  /** Canonical, the network's first address. */
  readonly address: string;
  /** Bits that all addresses of the network share. */
  readonly prefix: number;
}

/**
 * Reads `ADDRESS/BITS`. Bits beyond the prefix are cleared, and networks of IPv4-mapped addresses
 * (`::ffff:10.0.0.0/104`) are those of IPv4.
 * @returns undefined for what is none
 */
export function parseCidr(text: string): Cidr | undefined {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const address = match && parseIpAddress(match[1]!);
  if (!match || !address) return undefined;
  const isMapped = address.family === 4 && match[1]!.includes(':');
  const prefix = Number(match[2]) - (isMapped ? MAPPED_PREFIX_BITS : 0);
  if (prefix < 0 || prefix > widthOf(address.family)) return undefined;
  const network = addressOfBits(address.family, networkBits(address, prefix));
  return { address: network.text, prefix };
}

function networkBits(address: IpAddress, prefix: number): bigint {
  const shift = BigInt(widthOf(address.family) - prefix);
  return (bitsOf(address) >> shift) << shift;
}
