import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readPolicy } from '@fairlead/agent/internal';
import { parseTargetRule } from '@fairlead/runtime/net';
import t, { type Test } from 'tap';

type Options = Parameters<typeof readPolicy>[0];

const rules = (...texts: string[]) => texts.map((text) => parseTargetRule(text)!);

/** The policy of flags and of a file with this text. */
function read(t: Test, flags: Pick<Options, 'allow' | 'deny'>, text?: string, ownPort = 1) {
  const policyFile = text === undefined ? undefined : join(t.testdir(), 'policy.yaml');
  if (policyFile !== undefined) writeFileSync(policyFile, text!);
  return readPolicy({ ...flags, policyFile } as Options, new Set([ownPort]));
}

/** The ports of a host that a policy allows, out of 80, 443 and 8093. */
function allowedPorts(policy: ReturnType<typeof readPolicy>, address: string): number[] {
  return [80, 443, 8093].filter((port) => {
    try {
      policy.checkTarget({ host: address, port })(address, port);
      return true;
    } catch {
      return false;
    }
  });
}

const noRules = { allow: [], deny: [] };

t.test('without rules, all ports but those of the agent are allowed', async (t) => {
  t.strictSame(allowedPorts(read(t, noRules), '127.0.0.1'), [80, 443, 8093]);
  t.strictSame(allowedPorts(read(t, noRules, undefined, 8093), '127.0.0.1'), [80, 443]);
  t.strictSame(allowedPorts(read(t, noRules, '{}', 8093), '127.0.0.1'), [80, 443]);
  t.strictSame(allowedPorts(read(t, noRules, 'deny: []'), '127.0.0.1'), [80, 443, 8093]);
});

t.test('rules of flags count without a file', async (t) => {
  const flags = { allow: rules('10.0.0.0/8'), deny: rules('*:443') };
  t.strictSame(allowedPorts(read(t, flags), '10.0.0.1'), [80, 8093]);
  t.strictSame(allowedPorts(read(t, flags), '11.0.0.1'), []);
});

t.test('rules of a file are added to those of flags', async (t) => {
  const text = 'allow: ["10.0.0.2"]\ndeny: ["*:80"]\n';
  t.strictSame(allowedPorts(read(t, noRules, text), '10.0.0.2'), [443, 8093]);
  const flags = { allow: rules('10.0.0.1'), deny: rules('*:443') };
  t.strictSame(allowedPorts(read(t, flags, text), '10.0.0.1'), [8093]);
  t.strictSame(allowedPorts(read(t, flags, text), '10.0.0.2'), [8093]);
  t.strictSame(allowedPorts(read(t, flags, text), '10.0.0.3'), []);
});

t.test('refuses a file that could allow more than was meant', async (t) => {
  const complaints: readonly [string, RegExp][] = [
    ['deny:\n  - 10.0.0.1/8\n', /policy\.yaml:2: deny\.0: "10\.0\.0\.1\/8" is not a rule such as /],
    ['allow:\n  - 7\n', /policy\.yaml:2: allow\.0: must be a text, such as "10\.0\.0\.0\/8"/],
    ['allow: []\n', /policy\.yaml:1: allow: contains no rule\. Remove it to allow everything/],
    ['deney: ["*"]\n', /policy\.yaml:1: .*"deney"/],
  ];
  for (const [text, expected] of complaints) {
    const message = new RegExp(`^--policy-file: .*${expected.source}`);
    t.throws(() => read(t, noRules, text), { name: 'UsageError', message }, text);
  }
});
