import { networkInterfaces } from 'node:os';
import { TargetPolicy } from '@fairlead/agent/internal';
import { parseTargetRule } from '@fairlead/runtime/net';
import t from 'tap';

interface Given {
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
  readonly ownPorts?: readonly number[];
}

const rules = (texts: readonly string[] = []) => texts.map((text) => parseTargetRule(text)!);

/** The result for the name of a target, or for each of its addresses. */
function judge(
  { allow, deny, ownPorts }: Given,
  host: string,
  port: number,
  ...addresses: string[]
) {
  const policy = new TargetPolicy({ allow: rules(allow), deny: rules(deny) }, new Set(ownPorts));
  try {
    const check = policy.checkTarget({ host, port });
    return addresses.map((address) => {
      try {
        check(address, port);
        return 'allowed';
      } catch (error) {
        return (error as { code?: string }).code;
      }
    });
  } catch (error) {
    return (error as { code?: string }).code;
  }
}

t.test('without rules, link-local and metadata addresses are denied', async (t) => {
  t.same(judge({}, 'a.example', 443, '10.0.0.1', '::1', '192.0.2.1'), [
    'allowed',
    'allowed',
    'allowed',
  ]);
  const sensitive = [
    ...[
      '169.254.169.254',
      '169.254.170.2',
      '169.254.0.1',
      'fe80::1',
      'fe80::1%eth0',
      'fd00:ec2::254',
    ],
    ...['fd20:ce::254', '100.100.100.200', '168.63.129.16', '::ffff:169.254.169.254'],
    ...['64:ff9b::169.254.169.254', '2002:a9fe:a9fe::1', '64:ff9b::6464:64c8'],
    ...['64:ff9b:1::a9fe:a9fe', '::169.254.169.254', '::6464:64c8'],
  ];
  for (const address of sensitive) {
    t.same(judge({}, 'a.example', 80, address), ['policy_denied'], address);
    t.same(judge({}, address, 80, address), ['policy_denied'], `${address} as the target`);
  }
});

t.test('link-local and metadata addresses need a rule with their address', async (t) => {
  const result = (...allow: string[]) => judge({ allow }, 'a.example', 80, '169.254.169.254');
  t.same(result('*'), ['policy_denied']);
  t.same(result('0.0.0.0/0'), ['policy_denied']);
  t.same(result('a.example'), ['policy_denied']);
  t.same(result('*', '169.254.169.254:443'), ['policy_denied'], 'another port');
  t.same(result('169.254.169.254'), ['allowed']);
  t.same(result('169.254.0.0/16'), ['allowed']);
  const given = { allow: ['169.254.0.0/16'], deny: ['169.254.169.254'] };
  t.same(
    judge(given, 'a.example', 80, '169.254.169.254'),
    ['policy_denied'],
    'the deny rule has priority',
  );
});

t.test('deny rules have priority over allow rules, for names and addresses', async (t) => {
  const given = { allow: ['*'], deny: ['10.0.0.0/8', '*.secret.example', 'db.example:5432'] };
  t.same(judge(given, 'a.example', 80, '10.0.0.1', '11.0.0.1'), ['policy_denied', 'allowed']);
  t.same(judge(given, 'a.example', 80, '::ffff:10.0.0.1', '2002:0a00:0001::'), [
    'policy_denied',
    'policy_denied',
  ]);
  t.same(judge(given, 'x.SECRET.example.', 80, '11.0.0.1'), 'policy_denied');
  t.same(judge(given, 'db.example', 5432), 'policy_denied');
  t.same(judge(given, 'db.example', 5433, '11.0.0.1'), ['allowed']);
});

t.test('if there is an allow rule, all other targets are denied', async (t) => {
  const given = { allow: ['10.0.0.0/8:443', 'node-1:10250'] };
  t.same(judge(given, 'a.example', 443, '10.0.0.1', '11.0.0.1'), ['allowed', 'policy_denied']);
  t.same(judge(given, 'a.example', 80, '10.0.0.1'), ['policy_denied']);
  t.same(judge(given, '10.0.0.1', 443, '10.0.0.1'), ['allowed']);
  t.same(judge(given, '11.0.0.1', 443, '11.0.0.1'), ['policy_denied'], 'an address as the target');
  t.same(
    judge(given, 'node-1', 10_250, '192.0.2.1'),
    ['allowed'],
    'a rule with a name allows all its addresses',
  );
  t.same(judge(given, 'node-1', 80, '192.0.2.1'), ['policy_denied']);
  t.equal(
    judge({ allow: ['node-1'] }, 'node-2', 80),
    'policy_denied',
    'the name is denied before the lookup',
  );
});

t.test(
  "rules for loopback cover its other forms, and the agent's own ports are denied",
  async (t) => {
    const loopback = { deny: ['127.0.0.0/8', '::1'] };
    t.same(judge(loopback, 'a', 80, '127.0.0.1', '0.0.0.0', '::', '::1', '::ffff:127.1.1.1'), [
      ...['policy_denied', 'policy_denied', 'policy_denied', 'policy_denied', 'policy_denied'],
    ]);
    const own = { allow: ['*', '127.0.0.0/8:8093'], ownPorts: [8093] };
    const local = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
    for (const address of [
      '127.0.0.1',
      '127.9.9.9',
      '::1',
      '0.0.0.0',
      '::',
      ...local.map((each) => each.address),
    ]) {
      t.same(judge(own, 'a', 8093, address), ['policy_denied'], address);
    }
    t.same(judge(own, 'a', 8093, '192.0.2.1'), ['allowed'], 'the same port on another machine');
    t.same(judge(own, 'a', 8094, '127.0.0.1'), ['allowed']);
  },
);

t.test('a refusal names the rule, or what no rule allows', async (t) => {
  const refusals: readonly [Given, host: string, address: string, reason: string][] = [
    [{ deny: ['*.b:80'] }, 'a.b', '10.0.0.1', '"*.b:80" denies a.b:80'],
    [{ deny: ['10.0.0.0/8'] }, 'a', '10.0.0.1', '"10.0.0.0/8" denies 10.0.0.1:80'],
    [{ allow: ['b'] }, 'a', '10.0.0.1', 'no rule allows a:80'],
    [{ allow: ['10.0.0.1'] }, 'a', '10.0.0.2', 'no rule allows 10.0.0.2:80'],
    [{ ownPorts: [80] }, 'a', '::1', "[::1]:80 is the agent's own port"],
    [
      { allow: ['*'] },
      'a',
      '169.254.1.1',
      '169.254.1.1:80 is link-local or cloud metadata, and no allow rule names a network within 169.254.0.0/16',
    ],
    [{}, 'a', 'nonsense', 'nonsense:80 is not an IP address'],
  ];
  for (const [{ allow, deny, ownPorts }, host, address, reason] of refusals) {
    const policy = new TargetPolicy({ allow: rules(allow), deny: rules(deny) }, new Set(ownPorts));
    const message = `the agent's policy: ${reason}`;
    t.throws(() => policy.checkTarget({ host, port: 80 })(address, 80), { message }, reason);
  }
});

t.test('text that is not an address is denied', async (t) => {
  t.same(judge({}, 'a', 80, 'nonsense'), ['policy_denied']);
});
