import { z } from 'zod';
import {
  embeddedAddress,
  type IpAddress,
  type IpNetwork,
  networkContains,
  parseIpNetwork,
} from './ip-address.ts';

/** A rule of a policy: the targets that it covers. */
export interface TargetRule {
  /** As written. */
  readonly text: string;
  /** Names are canonical. */
  readonly host:
    | { readonly kind: 'any' }
    | { readonly kind: 'name'; readonly name: string }
    | { readonly kind: 'suffix'; readonly suffix: string }
    | { readonly kind: 'network'; readonly network: IpNetwork };
  /** Undefined: all ports. */
  readonly ports: { readonly first: number; readonly last: number } | undefined;
}

/** What a policy allows and what it denies; a deny rule always wins. */
export interface TargetRules {
  readonly allow: readonly TargetRule[];
  readonly deny: readonly TargetRule[];
}

/**
 * Reads a rule: a network (`10.0.0.0/8`, `fd00::/8`), an address, a name (`node-1`), all names below
 * another one (`*.example`), or everything (`*`). `:PORT` or `:FIRST-LAST` after it limits the rule to these
 * ports; IPv6 then needs brackets: `[fd00::/8]:443`.
 *
 * @returns undefined for anything else
 */
export function parseTargetRule(text: string): TargetRule | undefined {
  const [, bracketed, plain, firstText, lastText] =
    /^(?:\[([^[\]]+)\]|(.+?))(?::(\d{1,5})(?:-(\d{1,5}))?)?$/.exec(text) ?? [];
  // More than one colon without brackets: an IPv6 address or network without a port.
  const isBareIpv6 = bracketed === undefined && text.indexOf(':') !== text.lastIndexOf(':');
  const host = isBareIpv6 ? hostOfRule(text) : hostOfRule(bracketed ?? plain ?? '');
  if (!host || (bracketed !== undefined && host.kind !== 'network')) return undefined;
  if (isBareIpv6 || firstText === undefined) return { text, host, ports: undefined };
  const first = Number(firstText);
  const last = Number(lastText ?? firstText);
  if (first < 1 || last > 65_535 || first > last) return undefined;
  return { text, host, ports: { first, last } };
}

export const targetRuleSchema: z.ZodType<TargetRule, unknown> = z
  .string('must be a text, such as "10.0.0.0/8" or "*.example:443"')
  .transform((text, context) => {
    const rule = parseTargetRule(text);
    if (rule) return rule;
    context.addIssue({ code: 'custom', message: `"${text}" ${badRule}` });
    return z.NEVER;
  });

/** The complaint about an empty list of allowed targets, which could be mistaken for "no list": allow all. */
export const noRule = 'contains no rule. Remove it to allow everything, or add a rule';

/** Follows the quoted text in a complaint. */
export const badRule = 'is not a rule such as 10.0.0.0/8, *.example:443 or [fd00::/8]:1-1023';

/** A name in the form that rules compare: lower case, without a trailing dot. */
export function canonicalName(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}

/** @param name canonical; of a target that is not an address */
export function ruleCoversName(rule: TargetRule, name: string, port: number): boolean {
  if (!ruleCoversPort(rule, port)) return false;
  const { host } = rule;
  if (host.kind === 'name') return host.name === name;
  if (host.kind === 'suffix') return name.endsWith(host.suffix);
  return host.kind === 'any';
}

/** Whether the rule covers the address, or the address embedded in it (`embeddedAddress`). */
export function ruleCoversAddress(rule: TargetRule, address: IpAddress, port: number): boolean {
  if (!ruleCoversPort(rule, port)) return false;
  const { host } = rule;
  if (host.kind !== 'network') return host.kind === 'any';
  const embedded = embeddedAddress(address);
  return (
    networkContains(host.network, address) ||
    (embedded !== undefined && networkContains(host.network, embedded))
  );
}

/** Whether the rule covers the port, for any host. */
export function ruleCoversPort({ ports }: TargetRule, port: number): boolean {
  return ports === undefined || (port >= ports.first && port <= ports.last);
}

const label = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?';
const namePattern = new RegExp(`^(?:\\*\\.)?${label}(?:\\.${label})*$`);

/**
 * What the WHATWG URL standard reads as an IPv4 address, valid or not, and never as a name: the last label is a
 * number, decimal, octal or hexadecimal (`0x0a000005`, `10.5`).
 */
const endsInNumber = /(?:^|\.)(?:\d+|0x[\da-f]*)$/;

function hostOfRule(text: string): TargetRule['host'] | undefined {
  if (text === '*') return { kind: 'any' };
  const network = parseIpNetwork(text);
  if (network) return { kind: 'network', network };
  const name = canonicalName(text);
  if (!namePattern.test(name) || endsInNumber.test(name)) return undefined;
  if (name.startsWith('*.')) return { kind: 'suffix', suffix: name.slice(1) };
  return { kind: 'name', name };
}
