import { type ErrorCode, errorTable, TunnelError, type TunnelStream } from '@fairlead/protocol';
import { type Caller, Dialer, DialHistory, Router } from '@fairlead/server/internal';
import t, { type Test } from 'tap';
import { type FakeBackend, fakeBackends } from './fake-backend.ts';

const caller: Caller = { kind: 'uds', organizations: [], address: 'test' };
const target = { host: 'node-1', port: 10_250 };
const stream = {} as TunnelStream;

/** Two agents. The first dial, to either agent, ends with `firstDial`. Later dials succeed. */
function twoAgents(firstDial: (signal: AbortSignal) => Promise<TunnelStream>, timeoutMs = 60_000) {
  const { backends, fakes } = fakeBackends({ a: '', b: '' });
  const tried: FakeBackend[] = [];
  const retries: string[] = [];
  for (const fake of [fakes.a, fakes.b]) {
    fake.onDial = (_target, signal) => {
      tried.push(fake);
      return tried.length === 1 ? firstDial(signal) : Promise.resolve(stream);
    };
  }
  const router = new Router(backends, ['default']);
  const dialer = new Dialer({
    router,
    history: new DialHistory(),
    policy: () => undefined,
    timeoutMs,
    maxStreamsPerTunnel: 100,
    tunnelBytesPerSecond: undefined,
    observer: { onPolicyDenied() {}, onRetry: ({ code }) => retries.push(code), onLimit() {} },
  });
  const run = () =>
    new Promise<{ readonly stream: object; readonly agentId: string }>((resolve, reject) => {
      const onDialed = (dialed: object, agentId: string) => resolve({ stream: dialed, agentId });
      dialer.dial(target, caller, { onDialed, onFailed: reject });
    });
  return { fakes, backends, tried, retries, run };
}

const retriedCodes: readonly ErrorCode[] = [
  'tunnel_lost',
  'tunnel_silent',
  'limit_reached',
  'shutting_down',
  'memory_limit',
  'ids_exhausted',
  'hello_timeout',
];

for (const code of retriedCodes) {
  t.test(`retries once on the other agent after ${code}`, async (t) => {
    const { tried, retries, run } = twoAgents(() => Promise.reject(new TunnelError(code)));
    const { agentId } = await run();
    t.equal(tried.length, 2);
    t.equal(agentId, tried[1]?.agentId);
    t.not(tried[0], tried[1]);
    t.strictSame(retries, [code]);
  });
}

const finalCodes = (Object.keys(errorTable) as ErrorCode[]).filter((code) =>
  /^(target_|dns_|dial_|policy_)/.test(code),
);

t.test('does not retry after an error of the target or its agent', async (t) => {
  t.ok(finalCodes.length >= 6);
  for (const code of finalCodes) {
    const { tried, run } = twoAgents(() => Promise.reject(new TunnelError(code)));
    await t.rejects(run(), { code });
    t.equal(tried.length, 1, code);
  }
});

t.test('retries only once', async (t) => {
  const { fakes, tried, run } = twoAgents(() => Promise.resolve(stream));
  for (const fake of [fakes.a, fakes.b]) {
    fake.onDial = async () => {
      tried.push(fake);
      throw new TunnelError('tunnel_lost', fake.agentId);
    };
  }
  await t.rejects(run(), { code: 'tunnel_lost', message: /./ });
  t.equal(tried.length, 2);
});

t.test('fails with the first error if there is no other agent', async (t) => {
  const { backends, fakes, run } = twoAgents(() =>
    Promise.reject(new TunnelError('tunnel_lost', 'the first')),
  );
  backends.remove(fakes.b);
  await t.rejects(run(), { code: 'tunnel_lost', message: 'the first' });
});

t.test('fails with no_agent if there is no agent', async (t) => {
  const { backends, fakes, run } = twoAgents(() => Promise.resolve(stream));
  backends.remove(fakes.a);
  backends.remove(fakes.b);
  await t.rejects(run(), { code: 'no_agent' });
});

/** Rejects when the signal is aborted, like a stream that is reset. */
function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason));
  });
}

/** Deadlines do not keep a process running. */
function keepRunning(t: Test): void {
  const timer = setInterval(() => {}, 60_000);
  t.teardown(() => clearInterval(timer));
}

t.test('has one deadline for both attempts', async (t) => {
  keepRunning(t);
  const { fakes, tried, run } = twoAgents(() => Promise.resolve(stream), 50);
  for (const fake of [fakes.a, fakes.b]) {
    fake.onDial = (_target, signal) => {
      tried.push(fake);
      return tried.length === 1
        ? Promise.reject(new TunnelError('tunnel_lost'))
        : untilAborted(signal);
    };
  }
  await t.rejects(run(), { code: 'backend_dial_timeout' });
  t.equal(tried.length, 2);
});

t.test('does not retry after the deadline', async (t) => {
  keepRunning(t);
  const { tried, run } = twoAgents(
    (signal) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(new TunnelError('tunnel_lost')));
      }),
    20,
  );
  await t.rejects(run());
  t.equal(tried.length, 1);
});

t.test('retries on the other agent if one has reached its limit of streams', async (t) => {
  const { fakes, tried, retries, run } = twoAgents(() => Promise.resolve(stream));
  fakes.a.load = 100;
  fakes.b.load = 100;
  await t.rejects(run(), { code: 'limit_reached', message: /has 100 streams already/ });
  t.strictSame([tried.length, retries], [0, ['limit_reached']]);
  fakes.b.load = 99;
  t.equal((await run()).agentId, 'b');
});
