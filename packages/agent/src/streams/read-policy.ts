import { noRule, targetRuleSchema } from '@fairlead/runtime/net';
import { readCheckedFile } from '@fairlead/runtime/options';
import { z } from 'zod';
import type { AgentOptions } from '../options.ts';
import { TargetPolicy } from './target-policy.ts';

const policySchema = z.strictObject({
  allow: z.array(targetRuleSchema).min(1, noRule).default([]),
  deny: z.array(targetRuleSchema).default([]),
});

/**
 * The policy of --allow, --deny and --policy-file.
 * @param ownPorts the agent's own ports; can be filled later
 * @throws UsageError that names file and place
 */
export function readPolicy(
  { allow, deny, policyFile: path }: AgentOptions,
  ownPorts: ReadonlySet<number>,
): TargetPolicy {
  if (path === undefined) return new TargetPolicy({ allow, deny }, ownPorts);
  const file = readCheckedFile({ flag: '--policy-file', path }, policySchema);
  const rules = { allow: [...allow, ...file.allow], deny: [...deny, ...file.deny] };
  return new TargetPolicy(rules, ownPorts);
}
