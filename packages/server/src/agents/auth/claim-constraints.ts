import type { X509Certificate } from 'node:crypto';
import {
  canonicalName,
  type IpNetwork,
  networkContains,
  parseIpAddress,
  parseIpNetwork,
} from '@fairlead/runtime/net';
import { parseAlternativeNames } from '@fairlead/runtime/tls';
import type { AgentIdentifiers } from '../agent-identifiers.ts';

/** What an agent may claim. */
export interface ClaimConstraints {
  readonly hosts: ReadonlySet<string>;
  readonly addresses: ReadonlySet<string>;
  /** A network may be claimed itself, and parts of it down to `maxPrefixBits`. */
  readonly networks: readonly { readonly network: IpNetwork; readonly maxPrefixBits: number }[];
  readonly defaultRoute: boolean;
}

/** A certificate without constraints that can be read: it covers nothing. */
export const noConstraints: ClaimConstraints = {
  hosts: new Set(),
  addresses: new Set(),
  networks: [],
  defaultRoute: false,
};

/** The same, and the name of a node besides: what the token that is bound to it covers. */
export function withNode(constraints: ClaimConstraints, nodeName: string): ClaimConstraints {
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
    // A wildcard stands for no host in particular, and covers none.
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

/** The identifiers that the constraints cover, and those that they do not. */
export interface SplitClaims {
  readonly covered: AgentIdentifiers;
  readonly uncovered: AgentIdentifiers;
}

/** Tells claims that the constraints cover from those that they do not. */
export function splitClaims(claims: AgentIdentifiers, constraints: ClaimConstraints): SplitClaims {
  const coversCidr = ({ address, prefix }: AgentIdentifiers['cidrs'][number]): boolean => {
    const claimed = parseIpNetwork(`${address}/${prefix}`);
    return constraints.networks.some(
      ({ network, maxPrefixBits }) =>
        claimed !== undefined && networkContains(network, claimed) && prefix <= maxPrefixBits,
    );
  };
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

/** Identifiers as texts, as an agent writes them: `host=node-1`. */
export function claimTexts(claims: AgentIdentifiers): string[] {
  return [
    ...claims.hosts.map((host) => `host=${host}`),
    ...claims.addresses.map((address) => `${address.includes(':') ? 'ipv6' : 'ipv4'}=${address}`),
    ...claims.cidrs.map(({ address, prefix }) => `cidr=${address}/${prefix}`),
    ...(claims.defaultRoute ? ['default-route=true'] : []),
  ];
}
