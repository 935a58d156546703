import { parseIpNetwork } from '@fairlead/runtime/net';
import { PkiError } from '../pki-error.ts';
import { parseIpName } from './ip-name.ts';

/**
 * Writes what an agent may claim beyond its hosts and IPs as the URI names `fairlead:cidr=NETWORK` and
 * `fairlead:default-route`, which the server checks if it authorizes claims.
 *
 * @param cidrs networks such as `10.1.0.0/16` or `2001:db8::/32`, without host bits; `10.1.0.0/16-24` is the
 *   network and its parts with a prefix of up to 24 bits
 * @param defaultRoute whether the agent may claim all targets that no other agent claims
 * @throws PkiError `bad_cidr`
 */
export function agentConstraintUris({
  cidrs = [],
  defaultRoute = false,
}: {
  readonly cidrs?: readonly string[];
  readonly defaultRoute?: boolean;
}): string[] {
  const uris = cidrs.map((cidr) => `fairlead:cidr=${canonicalCidr(cidr)}`);
  return defaultRoute ? [...uris, 'fairlead:default-route'] : uris;
}

function canonicalCidr(text: string): string {
  const [, addressText = '', prefixText, mostText] =
    /^([^/]+)\/(0|[1-9]\d{0,2})(?:-([1-9]\d{0,2}))?$/.exec(text) ?? [];
  const address = parseIpName(addressText);
  const prefixBits = Number(prefixText);
  const allBits = (address?.bytes.length ?? 0) * 8;
  if (!address || prefixBits > allBits) {
    throw new PkiError('bad_cidr', `"${text}" is not a network such as 10.1.0.0/16`);
  }
  const network = parseIpNetwork(`${addressText}/${prefixBits}`);
  if (!network) {
    throw new PkiError('bad_cidr', `"${text}" has bits set after its prefix of ${prefixBits}`);
  }
  if (mostText === undefined) return network.text;
  const mostBits = Number(mostText);
  if (mostBits < prefixBits || mostBits > allBits) {
    throw new PkiError(
      'bad_cidr',
      `"${text}" has no prefixes between ${prefixBits} and ${mostBits}`,
    );
  }
  return `${network.text}-${mostBits}`;
}
