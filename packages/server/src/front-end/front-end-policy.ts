import { formatTarget, type Target } from '@fairlead/protocol';
import {
  canonicalName,
  parseIpAddress,
  ruleCoversAddress,
  ruleCoversName,
  ruleCoversPort,
  type TargetRule,
  targetRuleSchema,
} from '@fairlead/runtime/net';
import { readCheckedFile } from '@fairlead/runtime/options';
import type { NamedFile } from '@fairlead/runtime/tls';
import { z } from 'zod';
import { FrontEndDenial } from '../listeners/refusal.ts';
import type { Caller } from './caller.ts';

/** The callers that a rule names: `uds`, `cn:NAME`, `o:NAME`, or `*` for all. */
const callerSchema = z
  .string()
  .regex(/^(?:\*|uds|cn:.+|o:.+)$/, 'must be uds, cn:NAME, o:NAME or "*"');

const policySchema = z.strictObject({
  rules: z.array(
    z.strictObject({
      callers: z.array(callerSchema).min(1, 'must name a caller'),
      allow: z.array(targetRuleSchema).default([]),
      deny: z.array(targetRuleSchema).default([]),
    }),
  ),
});

type PolicyRule = z.infer<typeof policySchema>['rules'][number];

/** Whether a policy allows a caller to reach a target, and why. */
export interface PolicyDecision {
  readonly isAllowed: boolean;
  /** One line. */
  readonly reason: string;
}

/**
 * Which callers may reach which targets. A target that no rule allows is denied, and a deny rule wins over an
 * allow rule.
 *
 * A server does not resolve names. So only rules of names cover a name. If a rule denies a network, all names are
 * denied, since a name may resolve into that network.
 */
export class FrontEndPolicy {
  readonly #rules: readonly PolicyRule[];

  private constructor(rules: readonly PolicyRule[]) {
    this.#rules = rules;
  }

  /** @throws UsageError that names the file and the line */
  static read(file: NamedFile): FrontEndPolicy {
    return new FrontEndPolicy(readCheckedFile(file, policySchema).rules);
  }

  /** All callers that the rules name. */
  get callers(): string[] {
    return [...new Set(this.#rules.flatMap(({ callers }) => callers))];
  }

  decide(caller: Caller, { host, port }: Target): PolicyDecision {
    const names = namesOf(caller);
    const rules = this.#rules.filter(({ callers }) => callers.some((name) => names.has(name)));
    if (rules.length === 0) return no(`no rule names ${[...names].slice(1).join(', ')}`);
    const allow = rules.flatMap((rule) => rule.allow);
    const deny = rules.flatMap((rule) => rule.deny);
    const address = parseIpAddress(host);
    const covers = (rule: TargetRule): boolean =>
      address
        ? ruleCoversAddress(rule, address, port)
        : ruleCoversName(rule, canonicalName(host), port);
    const denying = deny.find(covers);
    if (denying) return no(`denied by "${denying.text}"`);
    const network = deny.find((rule) => rule.host.kind === 'network' && ruleCoversPort(rule, port));
    if (!address && network) {
      return no(`"${network.text}" is denied, and a name may resolve into it; use an IP address`);
    }
    const allowing = allow.find(covers);
    if (!allowing) return no('no rule allows it');
    return { isAllowed: true, reason: `allowed by "${allowing.text}"` };
  }

  /** @throws FrontEndDenial with the reason */
  check(caller: Caller, target: Target): void {
    const { isAllowed, reason } = this.decide(caller, target);
    if (isAllowed) return;
    throw new FrontEndDenial(
      'policy_denied',
      `the front-end policy denies ${formatTarget(target)}: ${reason}`,
    );
  }
}

const no = (reason: string): PolicyDecision => ({ isAllowed: false, reason });

function namesOf({ kind, commonName, organizations }: Caller): Set<string> {
  if (kind === 'uds') return new Set(['*', 'uds']);
  return new Set([
    '*',
    ...(commonName === undefined ? [] : [`cn:${commonName}`]),
    ...organizations.map((organization) => `o:${organization}`),
  ]);
}
