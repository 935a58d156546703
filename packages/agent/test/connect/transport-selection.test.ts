import { duplexPair } from 'node:stream';
import {
  ConnectError,
  type ConnectFailure,
  type TransportChoice,
  TransportSelector,
  transportChoices,
} from '@fairlead/agent/internal';
import { DuplexTransport, type TransportKind } from '@fairlead/protocol';
import t, { type Test } from 'tap';
import { testCertificates } from './certificates.ts';
import { startHttp2Server, startWebSocketServer } from './tunnel-servers.ts';

const endpoint = { host: 'server.test', port: 8091 };
const options = { timeoutMs: 10_000 };

type Outcome = 'works' | ConnectFailure;

/** Fake transports with these outcomes. They record each attempt. */
function scripted(outcomes: Partial<Record<TransportKind, Outcome>>) {
  const tried: string[] = [];
  const choices = Object.keys(outcomes).map((name): TransportChoice => {
    const kind = name as TransportKind;
    return {
      kind,
      connect: async ({ host }) => {
        tried.push(`${kind} ${host}`);
        const outcome = outcomes[kind] ?? 'works';
        if (outcome !== 'works') throw new ConnectError(outcome, `${kind} says ${outcome}`);
        return new DuplexTransport(duplexPair()[0], kind);
      },
    };
  });
  return { tried: () => tried.splice(0), choices, outcomes };
}

t.test('--transport selects one transport, and auto selects all in order', async (t) => {
  const kinds = (flag: string) => transportChoices(flag).map(({ kind }) => kind);
  t.same(kinds('auto'), ['tls', 'websocket', 'http2', 'grpc']);
  t.same(kinds('websocket'), ['websocket']);
  t.same(kinds('carrier-pigeon'), []);
});

for (const reason of ['protocol_mismatch', 'reset', 'handshake_timeout', 'http_refused'] as const) {
  t.test(`${reason}: the next transport is tried`, async (t) => {
    const { choices, tried } = scripted({ tls: reason, websocket: 'works', http2: 'works' });
    const transport = await new TransportSelector(choices).connect(endpoint, {}, options);
    t.equal(transport.kind, 'websocket');
    t.same(tried(), ['tls server.test', 'websocket server.test']);
  });
}

for (const reason of [
  'server_certificate',
  'own_certificate',
  'identity_refused',
  'refused',
  'dns_failed',
  'dial_timeout',
  'proxy_failed',
  'cancelled',
] as const) {
  t.test(`${reason}: no other transport is tried`, async (t) => {
    const { choices, tried } = scripted({ tls: reason, websocket: 'works' });
    const selector = new TransportSelector(choices);
    await t.rejects(selector.connect(endpoint, {}, options), {
      reason,
      message: `tls says ${reason}`,
    });
    t.same(tried(), ['tls server.test']);
  });
}

t.test('the transport that worked for a server is tried first for an hour', async (t) => {
  let nowMs = 0;
  const { choices, tried } = scripted({
    tls: 'protocol_mismatch',
    websocket: 'works',
    http2: 'works',
  });
  const selector = new TransportSelector(choices, () => nowMs);
  await selector.connect(endpoint, {}, options);
  tried();
  await selector.connect(endpoint, {}, options);
  t.same(tried(), ['websocket server.test']);
  await selector.connect({ ...endpoint, host: 'other.test' }, {}, options);
  t.same(
    tried(),
    ['tls other.test', 'websocket other.test'],
    'each server is remembered separately',
  );
  nowMs = 3_600_001;
  await selector.connect(endpoint, {}, options);
  t.same(
    tried(),
    ['tls server.test', 'websocket server.test'],
    'after an hour the fastest is tried first',
  );
});

t.test('after a lost connection, the slower transport is preferred for one minute', async (t) => {
  let nowMs = 0;
  const { choices, tried } = scripted({ tls: 'reset', websocket: 'works' });
  const selector = new TransportSelector(choices, () => nowMs);
  await selector.connect(endpoint, {}, options);
  nowMs = 60_001;
  tried();
  await selector.connect(endpoint, {}, options);
  t.same(tried(), ['tls server.test', 'websocket server.test']);
});

t.test('one lost connection does not change to a slower transport', async (t) => {
  const { choices, tried, outcomes } = scripted({ tls: 'works', websocket: 'works' });
  const selector = new TransportSelector(choices);
  await selector.connect(endpoint, {}, options);
  outcomes.tls = 'reset';
  tried();
  await t.rejects(selector.connect(endpoint, {}, options), {
    reason: 'reset',
    message: 'tls says reset',
  });
  t.same(tried(), ['tls server.test']);
  t.equal(
    (await selector.connect(endpoint, {}, options)).kind,
    'websocket',
    'a second lost connection does',
  );
});

t.test('if the transport that worked fails, the others are tried in order', async (t) => {
  const { choices, tried, outcomes } = scripted({
    tls: 'reset',
    websocket: 'reset',
    http2: 'works',
  });
  const selector = new TransportSelector(choices);
  await selector.connect(endpoint, {}, options);
  tried();
  Object.assign(outcomes, { tls: 'works', http2: 'reset' });
  t.equal((await selector.connect(endpoint, {}, options)).kind, 'tls');
  t.same(tried(), ['http2 server.test', 'tls server.test']);
});

t.test('if all transports fail, the error has the reason for each', async (t) => {
  const { choices } = scripted({
    tls: 'protocol_mismatch',
    websocket: 'http_refused',
    http2: 'reset',
  });
  await t.rejects(new TransportSelector(choices).connect(endpoint, {}, options), {
    reason: 'protocol_mismatch',
    message:
      'no transport works to server.test:8091: tls: tls says protocol_mismatch; ' +
      'websocket: websocket says http_refused; http2: http2 says reset',
  });
});

t.test('with real servers', async (t) => {
  const { ca, server, agent } = await testCertificates();
  const agentTls = { ...agent, ca };
  const connect = async (t: Test, port: number) => {
    const selector = new TransportSelector(transportChoices('auto'));
    const transport = await selector.connect({ host: '127.0.0.1', port }, agentTls, options);
    t.teardown(() => transport.destroy());
    return transport.kind;
  };

  t.test('selects websocket for a server with WebSockets only', async (t) => {
    const { port } = await startWebSocketServer(t, server);
    t.equal(await connect(t, port), 'websocket');
  });

  t.test('selects http2 for a server with HTTP/2 only', async (t) => {
    const { port } = await startHttp2Server(t, server);
    t.equal(await connect(t, port), 'http2');
  });
});
