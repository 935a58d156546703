import { ipAddressOf, parseIpAddress } from '@fairlead/runtime/net';

/** A network in its canonical form: no bit beyond the prefix is set. */
export interface Cidr {
  /** Canonical, the network's first address. */
  readonly address: string;
  /** Bits that all addresses of the network share. */
  readonly prefix: number;
}

/** The bits of an IPv4-mapped IPv6 address before its IPv4 address. */
const mappedBits = 96;

/**
 * Reads `ADDRESS/BITS`. Bits beyond the prefix are cleared, as in Go, since Konnectivity's manifests may rely on
 * that; in a policy they are a mistake. A network of IPv4-mapped addresses (`::ffff:10.0.0.0/104`) becomes IPv4.
 * @returns undefined if the text is not a network
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
