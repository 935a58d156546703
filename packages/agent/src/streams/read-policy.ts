import { noRule, targetRuleSchema } from '@fairlead/runtime/net';
import { readCheckedFile } from '@fairlead/runtime/options';
import { z } from 'zod';
import type { AgentOptions } from '../options.ts';
import { TargetPolicy } from './target-policy.ts';

const policySchema = z.strictObject({
  allow: z.array(targetRuleSchema).min(1, noRule).default([]),
  deny: z.array(targetRuleSchema).default([]),
});

/** The policy in use, made of --allow, --deny and --policy-file. */
export class PolicySource {
  /** The agent's own ports, which the policy denies. Filled when they are bound. */
  readonly ownPorts = new Set<number>();
  readonly #options: AgentOptions;
  #policy: TargetPolicy;

  /** @throws UsageError as `reload` does */
  constructor(options: AgentOptions) {
    this.#options = options;
    this.#policy = this.#read();
  }

  get policy(): TargetPolicy {
    return this.#policy;
  }

  /** @throws UsageError that names file and place; then the earlier policy stays in use */
  reload(): void {
    this.#policy = this.#read();
  }

  #read(): TargetPolicy {
    const { allow, deny, policyFile: path } = this.#options;
    if (path === undefined) return new TargetPolicy({ allow, deny }, this.ownPorts);
    const file = readCheckedFile({ flag: '--policy-file', path }, policySchema);
    const rules = { allow: [...allow, ...file.allow], deny: [...deny, ...file.deny] };
    return new TargetPolicy(rules, this.ownPorts);
  }
}
