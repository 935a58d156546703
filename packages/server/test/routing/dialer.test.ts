import { setTimeout as delay } from 'node:timers/promises';
import { type ErrorCode, errorTable, TunnelError, type TunnelStream } from '@fairlead/protocol';
import {
  type BackendDialHandler,
  type Caller,
  Dialer,
  DialHistory,
  type FrontEndPolicy,
  Router,
} from '@fairlead/server/internal';
import { controlTime } from '@fairlead/testkit/controlled-time';
import t, { type Test } from 'tap';
import { type FakeBackend, fakeBackends } from './fake-backend.ts';

const caller: Caller = { kind: 'uds', organizations: [], address: 'test' };
const target = { host: 'node-1', port: 10_250 };
const stream = {} as TunnelStream;

/** Two agents. The first dial, to either agent, ends with `firstDial`. Later dials succeed. */
function twoAgents(
  firstDial: (signal: AbortSignal) => Promise<TunnelStream>,
  timeoutMs = 60_000,
  options: Partial<Dialer['options']> = {},
) {
  const { backends, fakes } = fakeBackends({ a: '', b: '' });
  const tried: FakeBackend[] = [];
  const retries: string[] = [];
  const limits: string[] = [];
  const history = new DialHistory();
  let denials = 0;
  for (const fake of [fakes.a, fakes.b]) {
    fake.onDial = (_target, signal) => {
      tried.push(fake);
      return tried.length === 1 ? firstDial(signal) : Promise.resolve(stream);
    };
  }
  const router = new Router(backends, ['default']);
  const dialer = new Dialer({
    router,
    history,
    policy: () => undefined,
    timeoutMs,
    maxStreamsPerTunnel: 100,
    tunnelBytesPerSecond: undefined,
    observer: {
      onPolicyDenied: () => {
        denials++;
      },
      onRetry: ({ code }) => retries.push(code),
      onLimit: (limit) => limits.push(limit),
    },
    ...options,
  });
  const run = () =>
    new Promise<{ readonly stream: object; readonly agentId: string }>((resolve, reject) => {
      const onDialed = (dialed: object, agentId: string) => resolve({ stream: dialed, agentId });
      dialer.dial(target, caller, { onDialed, onFailed: reject });
    });
  const denialCount = () => denials;
  return { fakes, backends, tried, retries, limits, denialCount, dialer, history, run };
}

const retriedCodes: readonly ErrorCode[] = [
  'tunnel_lost',
  'tunnel_silent',
  'limit_reached',
  'shutting_down',
  'memory_limit',
  'ids_exhausted',
  'hello_timeout',
  'agent_failed',
  // These can be the fault of the target or of the agent.
  'target_unreachable',
  'dns_failed',
];

for (const code of retriedCodes) {
  t.test(`retries once on the other agent after ${code}`, async (t) => {
    const { tried, retries, run } = twoAgents(() => Promise.reject(new TunnelError(code)));
    const { agentId } = await run();
    t.equal(tried.length, 2);
    t.equal(agentId, tried[1]?.agentId);
    t.not(tried[0], tried[1]);
    t.strictSame(retries, [code]);
    t.strictSame(tried[0]?.results, [code]);
    t.strictSame(tried[1]?.results, [undefined]);
  });
}

const finalCodes = (Object.keys(errorTable) as ErrorCode[]).filter(
  (code) => /^(target_|dns_|dial_|policy_)/.test(code) && !retriedCodes.includes(code),
);

t.test('does not retry after an error of the target or its agent', async (t) => {
  const expected = [
    'target_refused',
    'dial_timeout',
    'dial_failed',
    'target_reset',
    'policy_denied',
  ];
  t.strictSame(finalCodes, expected);
  for (const code of finalCodes) {
    const { tried, run } = twoAgents(() => Promise.reject(new TunnelError(code)));
    await t.rejects(run(), { code });
    t.equal(tried.length, 1, code);
  }
});

t.test('an agent that cannot dial is not chosen until it has rested', async (t) => {
  const time = controlTime(t);
  const { fakes, tried, run } = twoAgents(() => Promise.resolve(stream));
  fakes.a.onDial = async () => {
    tried.push(fakes.a);
    throw new TunnelError('agent_failed');
  };
  fakes.b.load = 50;
  const dialed = async (count: number) => {
    tried.length = 0;
    for (let dial = 0; dial < count; dial++) t.equal((await run()).agentId, 'b');
    return tried.filter((fake) => fake === fakes.a).length;
  };
  t.equal(await dialed(200), 3, 'the less loaded agent, until it has failed three times');
  t.ok(fakes.a.isFailing);
  await time.advance(1_000);
  t.equal(await dialed(200), 1, 'one more dial after its rest');
  await time.advance(2_000);
  fakes.a.onDial = async () => stream;
  t.equal((await run()).agentId, 'a', 'it can dial again');
});

t.test('the only agent is dialed even while it rests', async (t) => {
  controlTime(t);
  const { backends, fakes, run } = twoAgents(() => Promise.resolve(stream));
  backends.remove(fakes.b);
  fakes.a.onDial = () => Promise.reject(new TunnelError('agent_failed'));
  for (let dial = 0; dial < 5; dial++) await t.rejects(run(), { code: 'agent_failed' });
  t.ok(fakes.a.isFailing);
  fakes.a.onDial = async () => stream;
  t.equal((await run()).agentId, 'a');
  t.notOk(fakes.a.isFailing, 'a success ends the rest');
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

t.test('tells the observer about each tunnel that has reached its limit of streams', async (t) => {
  const { fakes, limits, run } = twoAgents(() => Promise.resolve(stream));
  fakes.a.load = 101;
  fakes.b.load = 100;
  await t.rejects(run(), { code: 'limit_reached' });
  t.strictSame(limits, ['streams_per_tunnel', 'streams_per_tunnel']);
});

t.test('retries on the other agent if the first one cannot even try', async (t) => {
  const { fakes, retries, run } = twoAgents(() => Promise.resolve(stream));
  fakes.b.load = 1;
  fakes.a.dial = () => {
    throw new TunnelError('tunnel_lost');
  };
  t.equal((await run()).agentId, 'b');
  t.strictSame(retries, ['tunnel_lost']);
});

t.test('asks no agent if the policy denies the target', async (t) => {
  const checked: object[] = [];
  const policy = {
    check: (...args: object[]) => {
      checked.push(args);
      throw new TunnelError('policy_denied', 'no rule allows it');
    },
  } as unknown as FrontEndPolicy;
  const given = twoAgents(() => Promise.resolve(stream), 60_000, { policy: () => policy });
  await t.rejects(given.run(), { code: 'policy_denied' });
  t.strictSame(checked, [[caller, target]]);
  t.equal(given.denialCount(), 1);
  t.equal(given.tried.length, 0);
  t.match(given.history.of(target), [{ outcome: 'policy_denied', detail: 'no rule allows it' }]);
});

t.test('records who dialed what, when, for how long, and with which result', async (t) => {
  const time = controlTime(t);
  const { backends, fakes, run, history } = twoAgents(() => delay(250, stream));
  backends.remove(fakes.b);
  const at = new Date().toISOString();
  const dialed = run();
  await time.advance(250);
  await dialed;
  fakes.a.onDial = () => Promise.reject(new TunnelError('target_refused', 'nothing listens'));
  await t.rejects(run());
  const failed = { at: new Date().toISOString(), caller: 'uds', agentId: 'a', durationMs: 0 };
  t.strictSame(history.of(target), [
    { ...failed, outcome: 'target_refused', detail: 'nothing listens' },
    {
      ...{ at: new Date(Date.parse(at) + 250).toISOString(), caller: 'uds', agentId: 'a' },
      ...{ durationMs: 250, outcome: 'ok', detail: undefined },
    },
  ]);
});

t.test('names the time that the agent had', async (t) => {
  const time = controlTime(t);
  const { run } = twoAgents(untilAborted, 5_000);
  const failed = t.rejects(run(), {
    code: 'backend_dial_timeout',
    message: 'no answer from the agent within 5000 ms',
  });
  await time.advance(5_000);
  await failed;
});

/** A dial to the only agent, which answers when the test says so. */
function startedDial() {
  const { backends, fakes, dialer, history } = twoAgents(() => Promise.resolve(stream));
  backends.remove(fakes.b);
  const events: string[] = [];
  let handler: BackendDialHandler | undefined;
  let onReset = () => {};
  fakes.a.dial = (_target, given) => {
    handler = given;
    return {
      reset: ({ code }) => {
        events.push(`reset ${code}`);
        onReset();
      },
    };
  };
  const dial = dialer.dial(target, caller, {
    onDialed: () => events.push('dialed'),
    onFailed: ({ code }) => events.push(`failed ${code}`),
  });
  return {
    events,
    dial,
    agent: handler!,
    history,
    backends,
    fakes,
    answerReset: (answer: () => void) => {
      onReset = answer;
    },
  };
}

t.test('a canceled dial is reset and fails at once, with the reason', async (t) => {
  const { events, dial, agent, history } = startedDial();
  dial.cancel(new TunnelError('client_reset'));
  t.strictSame(events, ['reset client_reset', 'failed client_reset']);
  dial.cancel(new TunnelError('shutting_down'));
  agent.onFailed(new TunnelError('tunnel_lost'));
  t.equal(events.length, 2, 'a dial ends once');
  t.match(history.of(target), [{ outcome: 'client_reset' }]);
  t.equal(history.of(target).length, 1);
});

t.test('a canceled dial is not retried if the reset fails it at once', async (t) => {
  const { events, dial, agent, backends, fakes, answerReset } = startedDial();
  backends.add(fakes.b);
  answerReset(() => agent.onFailed(new TunnelError('tunnel_lost')));
  dial.cancel(new TunnelError('client_reset'));
  t.strictSame(events, ['reset client_reset', 'failed client_reset']);
  t.equal(fakes.b.dialed.length, 0);
});

t.test('a dial that succeeded cannot be canceled', async (t) => {
  const time = controlTime(t);
  const { events, dial, agent } = startedDial();
  agent.onOpened(stream);
  dial.cancel(new TunnelError('client_reset'));
  await time.advance(120_000);
  t.strictSame(events, ['dialed']);
});

t.test('a dial without an agent cannot be canceled', async (t) => {
  const { dialer, backends, fakes } = twoAgents(() => Promise.resolve(stream));
  for (const fake of [fakes.a, fakes.b]) backends.remove(fake);
  const events: string[] = [];
  const dial = dialer.dial(target, caller, {
    onDialed: () => events.push('dialed'),
    onFailed: ({ code }) => events.push(code),
  });
  dial.cancel(new TunnelError('client_reset'));
  t.strictSame(events, ['no_agent']);
});

t.test('the streams of one tunnel share its bandwidth limit', async (t) => {
  const limited = twoAgents(() => Promise.resolve(stream), 60_000, {
    tunnelBytesPerSecond: 1_000_000,
  });
  const { dialer, fakes } = limited;
  t.not((await limited.run()).stream, stream, 'the stream is paced');
  const pace = dialer.paceOf(fakes.a);
  t.equal(dialer.paceOf(fakes.a), pace);
  t.not(dialer.paceOf(fakes.b)?.toAgent, pace?.toAgent);
  t.not(pace?.toAgent, pace?.fromAgent, 'each direction has a limit of its own');
  // A tenth of a second's bytes may leave at once.
  t.strictSame([pace?.toAgent.spend(99_000), pace?.toAgent.spend(99_000)], [true, false]);
  const unlimited = twoAgents(() => Promise.resolve(stream));
  t.equal((await unlimited.run()).stream, stream);
});
