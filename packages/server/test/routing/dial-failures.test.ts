import { type ErrorCode, TunnelError } from '@fairlead/protocol';
import { DialFailures } from '@fairlead/server/internal';
import { controlTime } from '@fairlead/testkit/controlled-time';
import t, { type Test } from 'tap';

function startRecord(t: Test) {
  const time = controlTime(t);
  const changes: string[] = [];
  const failures = new DialFailures((error) => changes.push(error?.message ?? 'again'));
  t.teardown(() => failures.close());
  const fail = (code: ErrorCode, times = 1) => {
    for (let count = 0; count < times; count++) failures.record(new TunnelError(code));
  };
  return { time, changes, failures, fail };
}

t.test('an agent that cannot dial rests, and longer after each further failure', async (t) => {
  const { time, changes, failures, fail } = startRecord(t);
  fail('agent_failed', 2);
  fail('target_unreachable');
  t.notOk(failures.isFailing, 'two failures can be an accident');
  failures.record(new TunnelError('agent_failed', 'no descriptor'));
  t.ok(failures.isFailing);
  await time.advance(999);
  t.ok(failures.isFailing);
  await time.advance(1);
  t.notOk(failures.isFailing, 'it receives dials again');
  for (const restMs of [2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
    fail('agent_failed');
    await time.advance(restMs - 1);
    t.ok(failures.isFailing, `one more failure is enough for ${restMs} ms`);
    await time.advance(1);
    t.notOk(failures.isFailing);
  }
  failures.record();
  fail('agent_failed', 2);
  t.notOk(failures.isFailing, 'a success counts from zero again');
  fail('agent_failed');
  await time.advance(1_000);
  t.notOk(failures.isFailing, 'the rest is short again');
  t.strictSame(changes.slice(0, 2), ['no descriptor', 'again']);
  t.equal(changes.length, 16);
});

t.test('a dial that reaches its target ends the rest', async (t) => {
  const { time, changes, failures, fail } = startRecord(t);
  for (const code of [undefined, 'target_refused', 'target_reset'] as const) {
    fail('agent_failed', 3);
    t.ok(failures.isFailing);
    failures.record(code && new TunnelError(code));
    t.notOk(failures.isFailing, code ?? 'a success');
    changes.length = 0;
    await time.advance(60_000);
    t.strictSame(changes, [], 'and stops its timer');
  }
});

t.test('failures that can be the fault of a target do not count', async (t) => {
  const { changes, fail } = startRecord(t);
  for (const code of ['target_unreachable', 'dns_failed', 'dial_timeout', 'dial_failed'] as const) {
    fail(code, 10);
  }
  t.strictSame(changes, []);
});
