import { cleanText } from '@fairlead/protocol';
import { canonicalName, type IpNetwork, parseCidr, parseIpAddress } from '@fairlead/runtime/net';

/** What an agent claims to serve, in canonical spellings and without duplicates. */
export interface AgentIdentifiers {
  /** Lower case, without a trailing dot. */
  readonly hosts: readonly string[];
  /** Canonical: IPv4, or IPv6 as in RFC 5952. */
  readonly addresses: readonly string[];
  readonly cidrs: readonly IpNetwork[];
  readonly defaultRoute: boolean;
  /** One line for each part that can never match. */
  readonly warnings: readonly string[];
}

/** An agent's claims, by what supports them. */
export interface AgentClaims {
  /** Covered by the agent's certificate or token; all claims with `--agent-authorization=off`. */
  readonly covered: AgentIdentifiers;
  /** Not covered, and accepted all the same (`audit`). */
  readonly uncovered: AgentIdentifiers;
}

const hostName =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/;

/** The spellings of Go's strconv.ParseBool, by which Konnectivity reads `default-route`. */
const goTrue = /^(1|t|T|TRUE|true|True)$/;
const goFalse = /^(0|f|F|FALSE|false|False)$/;

/**
 * Reads Konnectivity's agent identifiers: a URL query with the keys `host`, `ipv4`, `ipv6`, `cidr`,
 * which may be repeated, and `default-route`.
 *
 * An address is accepted under each of the first three keys, since a dual-stack node's `${HOST_IP}` can be
 * of either family. An invalid part causes a warning and matches nothing: real manifests carry
 * `ipv4=${HOST_IP}`, unexpanded.
 */
export function parseAgentIdentifiers(text: string): AgentIdentifiers {
  const hosts = new Set<string>();
  const addresses = new Set<string>();
  const cidrs = new Map<string, IpNetwork>();
  const warnings: string[] = [];
  let defaultRoute = false;
  const warn = (key: string, value: string, why: string) => {
    warnings.push(`${cleanText(`${key}=${value}`, 128)} ${why}`);
  };

  for (const [key, value] of new URLSearchParams(text)) {
    // A zone has a meaning on one host only.
    const address = value.includes('%') ? undefined : parseIpAddress(value);
    switch (key) {
      case 'ipv4':
      case 'ipv6':
        if (address) addresses.add(address.text);
        else warn(key, value, 'is not an IP address');
        break;
      case 'host': {
        const host = canonicalName(value);
        if (address) addresses.add(address.text);
        else if (hostName.test(host)) hosts.add(host);
        else warn(key, value, 'is not a host name');
        break;
      }
      case 'cidr': {
        const cidr = parseCidr(value);
        if (cidr) cidrs.set(cidr.text, cidr);
        else warn(key, value, 'is not a network such as 10.1.0.0/16');
        break;
      }
      case 'default-route':
        if (goTrue.test(value)) defaultRoute = true;
        else if (!goFalse.test(value)) warn(key, value, 'is neither true nor false');
        break;
      default:
        warn(key, value, 'has no known key (host, ipv4, ipv6, cidr, default-route)');
    }
  }
  return {
    hosts: [...hosts],
    addresses: [...addresses],
    cidrs: [...cidrs.values()],
    defaultRoute,
    warnings,
  };
}

/** Identifiers as an agent writes them, one text each: `host=node-1`. */
export function claimTexts(claims: AgentIdentifiers): string[] {
  return [
    ...claims.hosts.map((host) => `host=${host}`),
    ...claims.addresses.map((address) => `${address.includes(':') ? 'ipv6' : 'ipv4'}=${address}`),
    ...claims.cidrs.map(({ text }) => `cidr=${text}`),
    ...(claims.defaultRoute ? ['default-route=true'] : []),
  ];
}
