import type { X509Certificate } from 'node:crypto';
import {
  canonicalName,
  type IpNetwork,
  networkContains,
  parseIpAddress,
  parseIpNetwork,
} from '@fairlead/runtime/net';
import { parseAlternativeNames } from '@fairlead/runtime/tls';
import type { AgentClaims, AgentIdentifiers } from '../agent-identifiers.ts';

/** The claims that an agent's certificate or token covers. */
export interface ClaimConstraints {
  readonly hosts: ReadonlySet<string>;
  readonly addresses: ReadonlySet<string>;
  /** Each covers the network itself and parts of it down to `maxPrefixBits`. */
  readonly networks: readonly { readonly network: IpNetwork; readonly maxPrefixBits: number }[];
  readonly defaultRoute: boolean;
}

/** Of a certificate without readable constraints: it covers nothing. */
export const noConstraints: ClaimConstraints = {
  hosts: new Set(),
  addresses: new Set(),
  networks: [],
  defaultRoute: false,
};

/** Adds the name of the node that the agent's token is bound to, if any. */
export function withNode(constraints: ClaimConstraints, nodeName?: string): ClaimConstraints {
  if (nodeName === undefined) return constraints;
  return { ...constraints, hosts: new Set([...constraints.hosts, canonicalName(nodeName)]) };
}

const cidrUri = /^fairlead:cidr=([^-]+)(?:-(\d{1,3}))?$/;

/**
 * Reads the subject alternative names of an agent's certificate: DNS names, IP addresses, and the URIs
 * `fairlead:cidr=NETWORK`, `fairlead:cidr=NETWORK-MAXPREFIX` and `fairlead:default-route`.
 */
export function constraintsOf(certificate: X509Certificate): ClaimConstraints {
  const names = parseAlternativeNames(certificate.subjectAltName ?? '');
  if (!names) return noConstraints;
  const valuesOf = (type: string) =>
    names.filter((name) => name.type === type).map(({ value }) => value);
  const uris = valuesOf('URI');
  const addresses = valuesOf('IP Address').map((text) => parseIpAddress(text)?.text);
  return {
    // A wildcard names no particular host, so it covers none.
    hosts: new Set(valuesOf('DNS').map(canonicalName)),
    addresses: new Set(addresses.filter((text) => text !== undefined)),
    networks: uris.map(networkOf).filter((network) => network !== undefined),
    defaultRoute: uris.includes('fairlead:default-route'),
  };
}

function networkOf(uri: string): ClaimConstraints['networks'][number] | undefined {
  const [, written, most] = cidrUri.exec(uri) ?? [];
  const network = written?.includes('/') ? parseIpNetwork(written) : undefined;
  if (!network) return undefined;
  const maxPrefixBits = most === undefined ? network.prefixBits : Number(most);
  const isPossible =
    maxPrefixBits >= network.prefixBits && maxPrefixBits <= (network.family === 4 ? 32 : 128);
  return isPossible ? { network, maxPrefixBits } : undefined;
}

export function splitClaims(claims: AgentIdentifiers, constraints: ClaimConstraints): AgentClaims {
  const coversCidr = (claimed: IpNetwork): boolean =>
    constraints.networks.some(
      ({ network, maxPrefixBits }) =>
        networkContains(network, claimed) && claimed.prefixBits <= maxPrefixBits,
    );
  const pick = (isCovered: boolean): AgentIdentifiers => ({
    hosts: claims.hosts.filter((host) => constraints.hosts.has(host) === isCovered),
    addresses: claims.addresses.filter(
      (address) => constraints.addresses.has(address) === isCovered,
    ),
    cidrs: claims.cidrs.filter((cidr) => coversCidr(cidr) === isCovered),
    defaultRoute: claims.defaultRoute && constraints.defaultRoute === isCovered,
    warnings: [],
  });
  return { covered: pick(true), uncovered: pick(false) };
}
