import { z } from 'zod';
import {
  embeddedAddress,
  type IpAddress,
  type IpNetwork,
  networkContains,
  parseIpNetwork,
} from './ip-address.ts';

/** Which targets a policy's rule is about. */
export interface TargetRule {
  /** As it was written. */
  readonly text: string;
  /** A network, a name in lower case, or a pattern of names. */
  readonly host:
    | { readonly kind: 'any' }
    | { readonly kind: 'name'; readonly name: string }
    | { readonly kind: 'suffix'; readonly suffix: string }
    | { readonly kind: 'network'; readonly network: IpNetwork };
  /** Undefined: all ports. */
  readonly ports: { readonly first: number; readonly last: number } | undefined;
}

/** What a policy allows and what it denies; a denial always wins. */
export interface TargetRules {
  readonly allow: readonly TargetRule[];
  readonly deny: readonly TargetRule[];
}

/**
 * Reads a rule: a network (`10.0.0.0/8`, `fd00::/8`), an address, a name (`node-1`), all names under
 * another (`*.example`), or everything (`*`); with `:PORT` or `:FIRST-LAST` behind it for some ports
 * only. IPv6 with ports is written in brackets: `[fd00::/8]:443`.
 *
 * @returns undefined if the text is none of these
 */
export function parseTargetRule(text: string): TargetRule | undefined {
  const [, bracketed, plain, firstText, lastText] =
    /^(?:\[([^[\]]+)\]|(.+?))(?::(\d{1,5})(?:-(\d{1,5}))?)?$/.exec(text) ?? [];
  // Bare IPv6 has colons of its own: as a whole it is an address, or it is nothing.
  const isBareIpv6 = bracketed === undefined && text.indexOf(':') !== text.lastIndexOf(':');
  const host = isBareIpv6 ? hostOfRule(text) : hostOfRule(bracketed ?? plain ?? '');
  if (!host || (bracketed !== undefined && host.kind !== 'network')) return undefined;
  if (isBareIpv6 || firstText === undefined) return { text, host, ports: undefined };
  const first = Number(firstText);
  const last = Number(lastText ?? firstText);
  if (first < 1 || last > 65_535 || first > last) return undefined;
  return { text, host, ports: { first, last } };
}

/** A rule in a policy file. */
export const targetRuleSchema: z.ZodType<TargetRule, unknown> = z
  .string('must be a text, such as "10.0.0.0/8" or "*.example:443"')
  .transform((text, context) => {
    const rule = parseTargetRule(text);
    if (rule) return rule;
    context.addIssue({ code: 'custom', message: `"${text}" ${badRule}` });
    return z.NEVER;
  });

/** Of a list that allows targets; an empty one would otherwise read as the absence of a list, which allows all. */
export const noRule = 'names no rule, and would allow everything; leave it out or name one';

/** Follows the quoted text in a complaint. */
export const badRule = 'is not a rule such as 10.0.0.0/8, *.example:443 or [fd00::/8]:1-1023';

/** A name as rules compare it: lower case, without the root's dot. */
export function canonicalName(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}

/** @param name canonical, of a target that was not given as an address */
export function ruleCoversName(rule: TargetRule, name: string, port: number): boolean {
  if (!ruleCoversPort(rule, port)) return false;
  const { host } = rule;
  if (host.kind === 'name') return host.name === name;
  if (host.kind === 'suffix') return name.endsWith(host.suffix);
  return host.kind === 'any';
}

/** An address counts as covered when the rule has it or what it embeds (ip-address.ts). */
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

/** Whether the rule is about this port at all. */
export function ruleCoversPort({ ports }: TargetRule, port: number): boolean {
  return ports === undefined || (port >= ports.first && port <= ports.last);
}

const label = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?';
const namePattern = new RegExp(`^(?:\\*\\.)?${label}(?:\\.${label})*$`);

/**
 * What the WHATWG URL standard takes for an IPv4 address, or for a mistyped one, and never for a name: the last
 * label is a number, decimal, octal or hexadecimal (`0x0a000005`, `10.5`).
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
