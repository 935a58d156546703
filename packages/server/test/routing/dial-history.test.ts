import { type Caller, DialHistory } from '@fairlead/server/internal';
import t from 'tap';

const uds: Caller = { kind: 'uds', organizations: [], address: '/s' };
const at = (host: string) => ({ host, port: 443 });

/** The outcome of a dial that lasted `durationMs`, which tells the dials apart. */
const result = (durationMs: number, caller = uds) => ({
  atMs: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  caller,
  agentId: 'a',
  durationMs,
  outcome: 'ok',
  detail: undefined,
});

const durations = (history: DialHistory, host: string) =>
  history.of(at(host)).map(({ durationMs }) => durationMs);

t.test('shows when a dial began, who asked for it, and its outcome', async (t) => {
  const history = new DialHistory();
  const mtls: Caller = { kind: 'mtls', commonName: 'client', organizations: [], address: 'x' };
  history.add(at('n'), {
    ...result(7, mtls),
    outcome: 'no_agent',
    agentId: undefined,
    detail: 'why',
  });
  t.strictSame(history.of(at('n')), [
    {
      at: '2026-01-02T03:04:05.006Z',
      caller: 'mtls:client',
      agentId: undefined,
      durationMs: 7,
      outcome: 'no_agent',
      detail: 'why',
    },
  ]);
});

t.test('keeps the last five dials of a target, the latest first', async (t) => {
  const history = new DialHistory();
  t.strictSame(history.of(at('n')), []);
  for (let number = 1; number <= 5; number++) history.add(at('n'), result(number));
  t.strictSame(durations(history, 'n'), [5, 4, 3, 2, 1]);
  history.add(at('n'), result(6));
  t.strictSame(durations(history, 'n'), [6, 5, 4, 3, 2]);
});

t.test('tells targets apart by host and port, in any case', async (t) => {
  const history = new DialHistory();
  history.add(at('Node-1'), result(1));
  history.add({ host: 'node-1', port: 80 }, result(2));
  t.strictSame(durations(history, 'node-1'), [1]);
  t.strictSame(durations(history, 'NODE-1'), [1]);
});

t.test('forgets the target that was not dialed for the longest time, beyond 2,000', async (t) => {
  const history = new DialHistory();
  for (let number = 0; number < 2_000; number++) history.add(at(`n${number}`), result(number));
  history.add(at('n0'), result(1));
  t.strictSame(durations(history, 'n1'), [1]);
  history.add(at('another'), result(2));
  t.strictSame(durations(history, 'n1'), []);
  t.strictSame(durations(history, 'n0'), [1, 0]);
  t.strictSame(durations(history, 'n2'), [2]);
  t.strictSame(durations(history, 'another'), [2]);
});
