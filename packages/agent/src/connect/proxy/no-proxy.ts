import { isIP } from 'node:net';
import type { Target } from '@fairlead/protocol';
import {
  canonicalName,
  networkContains,
  parseCidr,
  parseIpAddress,
  parseIpNetwork,
} from '@fairlead/runtime/net';

type Rule = (target: Target) => boolean;

/**
 * The targets that NO_PROXY lists, by curl's rules: entries are separated by commas or blanks. A name
 * matches itself and all names below it, with or without a leading dot. `*` matches everything. An address
 * can be a network (10.0.0.0/8). As in curl, loopback is not exempt by itself. Any other entry matches nothing.
 *
 * Lists for other programs need more than curl's rules: `*` can stand among other entries, `*.name` equals
 * `.name`, IPv6 can be in brackets, and an entry can end in `:port`.
 */
export class NoProxyList {
  readonly #rules: readonly Rule[];

  constructor(text: string) {
    this.#rules = text
      .split(/[\s,]+/)
      .filter((entry) => entry !== '')
      .map(parseEntry);
  }

  matches(target: Target): boolean {
    return this.#rules.some((rule) => rule(target));
  }
}

function parseEntry(entry: string): Rule {
  if (entry === '*') return () => true;
  const { host, port } = splitPort(entry);
  const rule = host.includes('/') || isIP(host) !== 0 ? networkRule(host) : nameRule(host);
  return port === undefined ? rule : (target) => target.port === port && rule(target);
}

/** `name:8080`, `[::1]:8080`, `[::1]`; an IPv6 address without brackets has no port. */
function splitPort(entry: string): { host: string; port?: number } {
  const match = /^(?:\[(?<address>.*)\]|(?<name>[^:]*))(?::(?<port>\d+))?$/.exec(entry);
  const host = match?.groups?.address ?? match?.groups?.name ?? entry;
  const port = match?.groups?.port;
  return port === undefined ? { host } : { host, port: Number(port) };
}

function networkRule(text: string): Rule {
  const network = text.includes('/') ? parseCidr(text) : parseIpNetwork(text);
  return ({ host }) => {
    const address = parseIpAddress(host);
    return network !== undefined && address !== undefined && networkContains(network, address);
  };
}

function nameRule(entry: string): Rule {
  const name = canonicalName(entry.replace(/^(\*\.|\.)+/, ''));
  if (name === '') return () => false;
  return (target) => {
    const host = canonicalName(target.host);
    return host === name || (isIP(host) === 0 && host.endsWith(`.${name}`));
  };
}
