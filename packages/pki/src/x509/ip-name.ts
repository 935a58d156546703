import { isIPv4 } from 'node:net';
import { type IpAddress, parseIpAddress } from '@fairlead/runtime/net';

/**
 * Parses an IPv4 or bare IPv6 address and adds its bytes in network order (4 or 16).
 *
 * @returns undefined for anything else, also for a zone (`fe80::1%eth0`) and IPv4-mapped IPv6: such a name
 *   would never match the address that a TLS peer sees
 */
export function parseIpName(text: string): (IpAddress & { readonly bytes: Buffer }) | undefined {
  const address = parseIpAddress(text);
  const isMapped = address?.family === 4 && !isIPv4(text);
  if (!address || isMapped || text.includes('%')) return undefined;
  const hexDigits = address.family === 4 ? 8 : 32;
  const bytes = Buffer.from(address.value.toString(16).padStart(hexDigits, '0'), 'hex');
  return { ...address, bytes };
}
