import { cleanText } from '@fairlead/protocol';
import { canonicalName, parseIpAddress, parseIpNetwork } from '@fairlead/runtime';

/** What an agent says that it serves, in canonical form and without duplicates. */
export interface AgentIdentifiers {
  /** Names in lower case, without the root's dot. */
  readonly hosts: readonly string[];
  /** IPv4 and IPv6 addresses. */
  readonly addresses: readonly string[];
  readonly cidrs: readonly { readonly address: string; readonly prefix: number }[];
  readonly defaultRoute: boolean;
  /** One line for each part that cannot be read, and therefore never matches. */
  readonly warnings: readonly string[];
}

const hostName = /^[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/;

/**
 * Reads agent identifiers: `host=…&ipv4=…&ipv6=…&cidr=…&default-route=true`, each key any number of
 * times.
 */
export function parseAgentIdentifiers(text: string): AgentIdentifiers {
  const hosts = new Set<string>();
  const addresses = new Set<string>();
  const cidrs = new Map<string, { address: string; prefix: number }>();
  let defaultRoute = false;
  const warnings: string[] = [];
  for (const [key, value] of new URLSearchParams(text)) {
    const understood = () => {
      if (key === 'host') {
        const name = canonicalName(value);
        if (name.length > 253 || !hostName.test(name)) return false;
        hosts.add(name);
      } else if (key === 'ipv4' || key === 'ipv6') {
        const address = parseIpAddress(value);
        if (!address || value.includes('%')) return false;
        addresses.add(address.text);
      } else if (key === 'cidr') {
        const network = value.includes('/') ? parseIpNetwork(value) : undefined;
        if (!network) return false;
        const [address = '', prefix = ''] = network.text.split('/');
        cidrs.set(network.text, { address, prefix: Number(prefix) });
      } else if (key === 'default-route') {
        if (value !== 'true' && value !== 'false') return false;
        defaultRoute ||= value === 'true';
      } else {
        return false;
      }
      return true;
    };
    if (!understood()) {
      warnings.push(`agent identifier "${cleanText(`${key}=${value}`, 128)}" cannot be read`);
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
