import { PkiError } from '../pki-error.ts';
import { parseIpAddress } from './ip-address.ts';

/** What an agent's certificate lets it claim beyond its hosts and IPs. */
export interface AgentConstraints {
  /**
   * Networks such as `10.1.0.0/16` or `2001:db8::/32`, without host bits; `10.1.0.0/16-24` allows the
   * network and its parts down to a prefix of 24 bits.
   */
  readonly cidrs?: readonly string[];
  /** May the agent claim to be the way to everything else? */
  readonly defaultRoute?: boolean;
}

/**
 * Writes constraints as the URI names `fairlead:cidr=NETWORK` and `fairlead:default-route`, which
 * the server reads back when it authorizes an agent's claims.
 *
 * Throws PkiError `bad_cidr`.
 */
export function agentConstraintUris(constraints: AgentConstraints): string[] {
  const uris = (constraints.cidrs ?? []).map((cidr) => `fairlead:cidr=${canonicalCidr(cidr)}`);
  if (constraints.defaultRoute === true) uris.push('fairlead:default-route');
  return uris;
}

function canonicalCidr(text: string): string {
  const [, addressText, prefixText, mostText] =
    /^([^/]+)\/(0|[1-9]\d{0,2})(?:-([1-9]\d{0,2}))?$/.exec(text) ?? [];
  const address = addressText === undefined ? undefined : parseIpAddress(addressText);
  const prefixBits = Number(prefixText);
  if (address === undefined || prefixBits > address.bytes.length * 8) {
    throw new PkiError('bad_cidr', `"${text}" is not a network such as 10.1.0.0/16`);
  }
  if (hasHostBits(address.bytes, prefixBits)) {
    throw new PkiError('bad_cidr', `"${text}" has bits set behind its prefix of ${prefixBits}`);
  }
  if (mostText === undefined) return `${address.text}/${prefixBits}`;
  const mostBits = Number(mostText);
  if (mostBits < prefixBits || mostBits > address.bytes.length * 8) {
    throw new PkiError(
      'bad_cidr',
      `"${text}" has no prefixes between ${prefixBits} and ${mostBits}`,
    );
  }
  return `${address.text}/${prefixBits}-${mostBits}`;
}

function hasHostBits(bytes: Buffer, prefixBits: number): boolean {
  return bytes.some((byte, index) => {
    const keptBits = Math.min(Math.max(prefixBits - index * 8, 0), 8);
    return (byte & (0xff >> keptBits)) !== 0;
  });
}
