import { type ConnectError, NameWatch } from '@fairlead/agent/internal';
import { Backoff } from '@fairlead/runtime/net';
import { Changes } from '@fairlead/testkit';
import { controlTime } from '@fairlead/testkit/controlled-time';
import t, { type Test } from 'tap';

/** Watches a name whose addresses the test sets. */
function watch(t: Test, intervalMs: number) {
  const reported: string[] = [];
  let answer: readonly string[] | undefined;
  let lookups = 0;
  const changes = new Changes();
  const name = new NameWatch({
    name: 'servers.test',
    intervalMs,
    retryBackoff: new Backoff({ minMs: 5, maxMs: 5 }),
    lookup: async (host) => {
      lookups++;
      changes.notify();
      if (!answer) throw Object.assign(new Error(host), { code: 'ENOTFOUND' });
      return answer.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    },
    onAddresses: (addresses) => {
      reported.push(addresses.join(' '));
      changes.notify();
    },
    onFailed: ({ reason, message }: ConnectError) => {
      reported.push(`${reason}: ${message}`);
      changes.notify();
    },
  });
  t.teardown(() => name.close());
  return {
    name,
    reported,
    answer: (...addresses: string[]) => {
      answer = addresses;
    },
    fail: () => {
      answer = undefined;
    },
    lookups: () => lookups,
    until: (condition: () => boolean) => changes.until(condition),
  };
}

t.test('reports only changes, and keeps the known addresses after a failure', async (t) => {
  const { name, reported, answer, fail, lookups, until } = watch(t, 5);
  answer('10.0.0.1', '10.0.0.2');
  name.start();
  await until(() => lookups() === 3);
  answer('10.0.0.2', '10.0.0.1');
  await until(() => lookups() === 6);
  t.strictSame(reported, ['10.0.0.1 10.0.0.2'], 'another order of addresses is not a change');
  fail();
  await until(() => reported.length > 1);
  t.equal(reported[1], 'dns_failed: dial tcp: lookup servers.test: no such host');
  answer('::1', '10.0.0.3');
  await until(() => reported.includes('::1 10.0.0.3'));
});

t.test('looks up an unknown name again', async (t) => {
  const { name, reported, answer, until } = watch(t, 60_000);
  name.start();
  await until(() => reported.length > 1);
  answer('10.0.0.1');
  await until(() => reported.at(-1) === '10.0.0.1');
});

t.test('lookUpSoon() shortens the interval to at least one second', async (t) => {
  const time = controlTime(t);
  const { name, reported, answer, until, lookups } = watch(t, 600_000);
  answer('10.0.0.1');
  name.start();
  await until(() => reported.length === 1);
  answer('10.0.0.2');
  name.lookUpSoon();
  await time.advance(999);
  t.equal(lookups(), 1);
  await time.advance(1);
  await until(() => reported.length === 2);
  t.equal(lookups(), 2);
});
