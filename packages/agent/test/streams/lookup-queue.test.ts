import type { LookupAddress } from 'node:dns';
import { LookupQueue, targetLookups } from '@fairlead/agent/internal';
import t from 'tap';

const address: readonly LookupAddress[] = [{ address: '10.0.0.1', family: 4 }];

/** A queue in front of a resolver that answers when the test says so. */
function startQueue(maxRunning: number) {
  const started: string[] = [];
  const answers = new Map<string, (error?: Error) => void>();
  const queue = new LookupQueue((host) => {
    started.push(host);
    return new Promise((resolve, reject) => {
      answers.set(host, (error) => (error ? reject(error) : resolve(address)));
    });
  }, maxRunning);
  const dial = (host: string) => {
    const abort = new AbortController();
    return { result: queue.lookup(host, abort.signal), giveUp: () => abort.abort() };
  };
  return { started, dial, answer: (host: string, error?: Error) => answers.get(host)!(error) };
}

t.test('dials to one name share a lookup, even one that was given up', async (t) => {
  const { started, dial, answer } = startQueue(2);
  const first = dial('slow.test');
  first.giveUp();
  for (let round = 0; round < 50; round++) dial('slow.test').giveUp();
  const last = dial('slow.test');
  const other = dial('fast.test');
  t.strictSame(started, ['slow.test', 'fast.test'], 'the slow name occupies one thread');
  answer('fast.test');
  t.equal(await other.result, address);
  answer('slow.test');
  t.equal(await last.result, address);
  void dial('slow.test');
  t.equal(started.length, 3, 'an answer is not kept');
});

t.test('the lookups wait in order, and one that nothing waits for is dropped', async (t) => {
  const { started, dial, answer } = startQueue(2);
  const [one, two] = [dial('1.test'), dial('2.test')];
  const three = [dial('3.test'), dial('3.test')];
  const four = [dial('4.test'), dial('4.test')];
  const five = dial('5.test');
  t.strictSame(started, ['1.test', '2.test']);
  for (const { giveUp } of three) giveUp();
  four[0]!.giveUp();
  // A running lookup cannot be stopped.
  two.giveUp();
  answer('1.test');
  await one.result;
  t.strictSame(started, ['1.test', '2.test', '4.test']);
  answer('4.test');
  await four[1]!.result;
  answer('5.test');
  t.equal(await five.result, address);
});

t.test('a failure reaches all dials to the name and frees its thread', async (t) => {
  const { started, dial, answer } = startQueue(1);
  const dials = [dial('a.test'), dial('a.test')];
  const next = dial('b.test');
  const rejected = dials.map(({ result }) => t.rejects(result, { code: 'ENOTFOUND' }));
  answer('a.test', Object.assign(new Error('none'), { code: 'ENOTFOUND' }));
  await Promise.all(rejected);
  t.strictSame(started, ['a.test', 'b.test']);
  answer('b.test');
  t.equal(await next.result, address);
});

t.test("the agent's own lookups keep threads", async (t) => {
  t.strictSame(
    [undefined, '1', '4', '8', '64', '1024'].map((size) => [size, targetLookups(size)]),
    [
      [undefined, 1],
      ['1', 1],
      ['4', 1],
      ['8', 2],
      ['64', 30],
      ['1024', 510],
    ],
  );
});
