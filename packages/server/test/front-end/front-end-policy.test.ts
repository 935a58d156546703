import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '@fairlead/runtime/process';
import { type Caller, FrontEndPolicy } from '@fairlead/server/internal';
import t, { type Test } from 'tap';

function read(t: Test, text: string): FrontEndPolicy {
  const path = join(t.testdir(), 'policy.yaml');
  writeFileSync(path, text);
  return FrontEndPolicy.read({ flag: '--frontend-policy', path });
}

const uds: Caller = { kind: 'uds', organizations: [], address: '/s' };
const mtls = (commonName: string, ...organizations: string[]): Caller => ({
  kind: 'mtls',
  commonName,
  organizations,
  address: '10.0.0.1:1',
});

const policyText = `
rules:
  - callers: [uds, "cn:kube-apiserver"]
    allow: ["*:10250", "10.0.0.0/8"]
  - callers: ["o:system:monitoring"]
    allow: ["*.metrics.example:9100-9200"]
  - callers: ["cn:narrow"]
    allow: ["*", "10.1.0.0/16"]
    deny: ["10.0.0.0/8:443", "secret.example"]
`;

t.test('allows the targets of the rules that name the caller', async (t) => {
  const policy = read(t, policyText);
  const allowed = (caller: Caller, host: string, port: number) =>
    policy.decide(caller, { host, port }).isAllowed;
  for (const caller of [uds, mtls('kube-apiserver')]) {
    t.ok(allowed(caller, 'node-1', 10_250));
    t.ok(allowed(caller, '192.0.2.1', 10_250), 'a star also matches addresses');
    t.ok(allowed(caller, '10.1.2.3', 80));
    t.ok(allowed(caller, '::ffff:10.1.2.3', 80));
    t.notOk(allowed(caller, 'node-1', 22));
    t.notOk(allowed(caller, '192.0.2.1', 22));
    t.notOk(allowed(caller, '10.1.2.3.example', 80), 'a name does not match a network');
    t.notOk(allowed(caller, '0x0a010203', 80));
  }
  const prometheus = mtls('prometheus', 'x', 'system:monitoring');
  t.ok(allowed(prometheus, 'a.metrics.example', 9100));
  t.ok(allowed(prometheus, 'A.Metrics.Example.', 9200));
  t.notOk(allowed(prometheus, 'a.metrics.example', 9201));
  t.notOk(allowed(prometheus, '10.1.2.3', 80));
});

t.test('a deny rule overrides allow rules, and a denied network also denies names', async (t) => {
  const policy = read(t, policyText);
  const decide = (host: string, port: number) => policy.decide(mtls('narrow'), { host, port });
  t.match(decide('10.1.2.3', 443), { isAllowed: false, reason: 'denied by "10.0.0.0/8:443"' });
  t.match(decide('64:ff9b::10.1.2.3', 443), { isAllowed: false });
  t.match(decide('10.1.2.3', 80), { isAllowed: true });
  t.match(decide('a.example', 443), {
    isAllowed: false,
    reason: '"10.0.0.0/8:443" is denied, and a name may resolve into it; use an IP address',
  });
  t.match(decide('a.example', 80), { isAllowed: true, reason: 'allowed by "*"' });
  t.match(decide('SECRET.example.', 80), { isAllowed: false });
  t.match(decide('192.0.2.1', 443), { isAllowed: true });
});

t.test('denies a caller that no rule names', async (t) => {
  const policy = read(t, policyText);
  const target = { host: 'node-1', port: 10_250 };
  t.match(policy.decide(mtls('stranger', 'o1'), target), {
    isAllowed: false,
    reason: 'no rule names cn:stranger, o:o1',
  });
  t.notOk(policy.decide(mtls('uds'), target).isAllowed, 'a common name does not match uds');
  t.notOk(
    policy.decide(mtls('system:monitoring'), target).isAllowed,
    'a common name does not match an organization',
  );
  t.throws(() => policy.check(mtls('stranger'), target), { code: 'policy_denied' });
  t.notOk(read(t, 'rules: []').decide(uds, target).isAllowed);
  const open = read(t, 'rules: [{callers: ["*"], allow: ["*"]}]');
  t.ok(open.decide(uds, target).isAllowed);
  t.ok(open.decide(mtls('stranger'), target).isAllowed);
});

t.test('a caller without a common name has only its organizations', async (t) => {
  const nameless: Caller = { kind: 'mtls', organizations: ['o1'], address: '10.0.0.1:1' };
  const policy = read(t, 'rules: [{callers: ["cn:undefined", "o:o2"], allow: ["*"]}]');
  t.match(policy.decide(nameless, { host: 'node-1', port: 80 }), {
    isAllowed: false,
    reason: 'no rule names o:o1',
  });
});

t.test('a rule that allows nothing denies its callers everything', async (t) => {
  const policy = read(t, 'rules: [{callers: [uds]}, {callers: ["cn:a"], deny: [b]}]');
  const nothing = { isAllowed: false, reason: 'no rule allows it' };
  t.match(policy.decide(uds, { host: 'node-1', port: 80 }), nothing);
  t.match(policy.decide(mtls('a'), { host: 'node-1', port: 80 }), nothing);
});

t.test('denies a dial with the target and the reason, and lets an allowed one pass', async (t) => {
  const policy = read(t, policyText);
  t.throws(() => policy.check(uds, { host: 'node-1', port: 22 }), {
    code: 'policy_denied',
    message: 'the front-end policy denies node-1:22: no rule allows it',
  });
  t.doesNotThrow(() => policy.check(uds, { host: 'node-1', port: 10_250 }));
});

t.test('lists the callers that its rules name, each once', async (t) => {
  t.strictSame(read(t, `${policyText}  - callers: [uds, "*"]`).callers, [
    ...['uds', 'cn:kube-apiserver', 'o:system:monitoring', 'cn:narrow', '*'],
  ]);
});

t.test('reports an invalid policy with file and line', async (t) => {
  const complaints: readonly [string, RegExp][] = [
    ['rules:\n  - callers: [usd]\n', /policy\.yaml:2: rules\.0\.callers\.0: must be uds, cn:NAME/],
    ['rules:\n  - callers: [uds2]\n', /policy\.yaml:2: rules\.0\.callers\.0: must be uds, cn:NAME/],
    [
      'rules:\n  - callers: ["cn:"]\n',
      /policy\.yaml:2: rules\.0\.callers\.0: must be uds, cn:NAME/,
    ],
    ['rules:\n  - callers: [uds]\n    alow: []\n', /policy\.yaml:2: rules\.0: .*"alow"/],
    [
      'rules:\n  - callers: [uds]\n    allow:\n      - 10.0.0.1/8\n',
      /policy\.yaml:4: rules\.0\.allow\.0: "10/,
    ],
    ['rules:\n  - callers: []\n', /policy\.yaml:2: rules\.0\.callers: must name a caller/],
    ['rule: []\n', /policy\.yaml:1: /],
    ['[', /policy\.yaml:1: /],
  ];
  for (const [text, expected] of complaints) {
    t.throws(() => read(t, text), { name: 'UsageError', message: expected }, text);
    t.throws(() => read(t, text), UsageError);
  }
});
