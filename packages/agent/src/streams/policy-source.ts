import { noRule, type TargetRules, targetRuleSchema } from '@fairlead/runtime/net';
import { readCheckedFile } from '@fairlead/runtime/options';
import { z } from 'zod';
import type { AgentOptions } from '../options.ts';

const policySchema = z.strictObject({
  allow: z.array(targetRuleSchema).min(1, noRule).default([]),
  deny: z.array(targetRuleSchema).default([]),
});

/**
 * The rules of --allow, --deny and --policy-file together.
 * @throws UsageError that names file and place
 */
export function readTargetRules({ allow, deny, policyFile }: AgentOptions): TargetRules {
  if (policyFile === undefined) return { allow, deny };
  const file = readCheckedFile({ flag: '--policy-file', path: policyFile }, policySchema);
  return { allow: [...allow, ...file.allow], deny: [...deny, ...file.deny] };
}
