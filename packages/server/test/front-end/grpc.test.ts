import { PROXY_METHOD } from '@fairlead/konnectivity';
import type { TunnelStream } from '@fairlead/protocol';
import {
  reserveRefusedPort,
  seededBuffer,
  sourceRequest,
  startEchoTarget,
  startRequestedSourceTarget,
  startSourceTarget,
} from '@fairlead/testkit';
import { controlTime } from '@fairlead/testkit/controlled-time';
import { status as grpcStatus } from '@grpc/grpc-js';
import t, { type Test } from 'tap';
import { type GrpcCall, GrpcPeer, type GrpcPeerOptions } from '../grpc-peer.ts';
import {
  failingDial,
  grpcObserver,
  PendingDial,
  passTime,
  startFrontEnd,
  startTunnel,
  type TestFrontEnd,
} from './front-end-fixture.ts';

const addressOf = ({ host, port }: { host: string; port: number }) => `${host}:${port}`;

/** The client's options for each kind of listener. */
const listeners: Record<string, (started: TestFrontEnd) => GrpcPeerOptions> = {
  UDS: ({ uds }) => ({ address: `unix:${uds.path}` }),
  TLS: ({ tls: { port, tls } }) => ({
    address: `127.0.0.1:${port}`,
    tls: { ca: tls.ca, cert: tls.cert!, key: tls.key! },
  }),
};

const open = (peer: GrpcPeer) => peer.call(PROXY_METHOD);

function dialRequest(call: GrpcCall, address: string, random = 1n): void {
  call.send({ type: 'DIAL_REQ', protocol: 'tcp', address, random });
}

/** Dials a target that can be reached, and returns the connection's ID. */
async function dial(call: GrpcCall, address: string, random = 1n): Promise<bigint> {
  dialRequest(call, address, random);
  const { connectId, ...answer } = await call.take('DIAL_RSP');
  if (answer.error !== '' || answer.random !== random)
    throw new Error(JSON.stringify(answer.error));
  return connectId;
}

async function startEcho(t: Test) {
  const target = await startEchoTarget();
  t.teardown(() => target.close());
  return { address: addressOf(target), target };
}

/** Starts a front end and a client on its Unix domain socket. */
async function start(
  t: Test,
  ...[dialer, options]: [Parameters<typeof startFrontEnd>[1], object?]
) {
  const started = await startFrontEnd(t, dialer, options);
  return { ...started, peer: new GrpcPeer(t, listeners.UDS!(started)) };
}

for (const [listener, optionsOf] of Object.entries(listeners)) {
  t.test(`gRPC over ${listener}`, async (t) => {
    const echo = await startEcho(t);
    const started = await startFrontEnd(t, await startTunnel(t));
    const peer = new GrpcPeer(t, optionsOf(started));

    t.test('opens, uses and closes a connection', async (t) => {
      const call = open(peer);
      const connectId = await dial(call, echo.address, 2n ** 63n - 1n);
      t.ok(connectId > 0n);
      call.data(connectId, 'ping');
      t.match(await call.take('DATA'), { connectId, data: Buffer.from('ping') });
      call.send({ type: 'CLOSE_REQ', connectId });
      t.same(await call.take('CLOSE_RSP'), { type: 'CLOSE_RSP', connectId, error: '' });
      t.match(await call.ended(), { code: grpcStatus.OK });
      const [end] = await started.until(({ ends }) => ends.length > 0 && ends.splice(0));
      t.match(end, { bytesFromClient: 4, bytesToClient: 4 });
      t.equal(end!.error, undefined, 'the stream is closed without an error');
    });

    t.test('carries 1 MiB in each direction on 20 concurrent calls', async (t) => {
      const sent = seededBuffer('grpc', 1024 * 1024);
      const one = async (_: unknown, index: number) => {
        const call = open(peer);
        const connectId = await dial(call, echo.address, BigInt(index + 1));
        for (let at = 0; at < sent.length; at += 100_000) {
          call.data(connectId, sent.subarray(at, at + 100_000));
        }
        const received: Buffer[] = [];
        for (let bytes = 0; bytes < sent.length; bytes += received.at(-1)!.length) {
          received.push((await call.take('DATA')).data);
        }
        t.ok(Buffer.concat(received).equals(sent));
        call.cancel();
      };
      await Promise.all(Array.from({ length: 20 }, one));
    });
  });
}

t.test('if the target ends, the client receives all bytes and then CLOSE_RSP', async (t) => {
  const source = await startSourceTarget({ totalBytes: 300_000 });
  t.teardown(() => source.close());
  const { peer } = await start(t, await startTunnel(t));
  const call = open(peer);
  const connectId = await dial(call, addressOf(source));
  let bytes = 0;
  await call.until(() => call.received.at(-1)?.type === 'CLOSE_RSP');
  for (const packet of call.received) if (packet.type === 'DATA') bytes += packet.data.length;
  t.equal(bytes, 300_000);
  t.match(call.received.at(-1), { connectId, error: '' });
  t.match(await call.ended(), { code: grpcStatus.OK });
});

t.test('bytes that a client sends before its close reach the target', async (t) => {
  const target = await startRequestedSourceTarget();
  t.teardown(() => target.close());
  const { peer, until } = await start(t, await startTunnel(t));
  const call = open(peer);
  const connectId = await dial(call, addressOf(target));
  call.data(connectId, sourceRequest(1000));
  call.send({ type: 'CLOSE_REQ', connectId });
  await call.take('CLOSE_RSP');
  const end = await until(({ ends }) => ends[0]);
  t.match(end, { bytesFromClient: sourceRequest(1000).length, bytesToClient: 1000 });
});

t.test('failed dials have the error texts that Go’s clients match', async (t) => {
  const refused = await reserveRefusedPort();
  t.teardown(() => refused.close());
  const real = await start(t, await startTunnel(t));
  const call = open(real.peer);
  dialRequest(call, addressOf(refused), 9n);
  t.match(await call.take('DIAL_RSP'), { random: 9n, connectId: 0n, error: /connection refused/i });
  t.match(await call.ended(), { code: grpcStatus.OK });

  const none = await start(t, failingDial('no_agent'));
  const other = open(none.peer);
  dialRequest(other, 'a:1');
  t.match(await other.take('DIAL_RSP'), { error: /^No agent available/ });

  const bad = open(none.peer);
  dialRequest(bad, 'no port');
  t.match(await bad.take('DIAL_RSP'), { error: /bad target/ });
  t.same(none.seen.refused, ['bad_target']);
});

t.test('a dial is cancelled by DIAL_CLS, the end of the call or a reset', async (t) => {
  const cancels: Record<string, (call: GrpcCall) => void> = {
    DIAL_CLS: (call) => call.send({ type: 'DIAL_CLS', random: 1n }),
    'the end of the call': (call) => call.end(),
    'a reset': (call) => call.cancel(),
  };
  for (const [name, cancel] of Object.entries(cancels)) {
    const pending = new PendingDial();
    const { peer, until } = await start(t, pending.dial);
    const call = open(peer);
    dialRequest(call, 'a:1');
    await pending.until(1);
    cancel(call);
    const { error } = await until(({ dials }) => dials[0]);
    t.equal(error?.code, 'cancelled', name);
    t.equal(pending.started[0]!.canceled?.code, 'cancelled', name);
  }
});

t.test('a stream ends if target and client close right after the dial', async (t) => {
  const onOpen = (stream: TunnelStream) => {
    stream.attach({ onData() {}, onEnd() {}, onDrain() {}, onClose() {} });
    stream.accept();
    stream.write(Buffer.from('bye'));
    stream.end();
  };
  const { peer, until } = await start(t, await startTunnel(t, onOpen));
  const call = open(peer);
  const connectId = await dial(call, 'a:1');
  // Before the client's head start is over.
  call.send({ type: 'CLOSE_REQ', connectId });
  const end = await until(({ ends }) => ends[0]);
  t.equal(end.error, undefined);
});

t.test('a client that disconnects resets its stream', async (t) => {
  const echo = await startEcho(t);
  const { peer, until } = await start(t, await startTunnel(t));
  const call = open(peer);
  const connectId = await dial(call, echo.address);
  call.data(connectId, 'ping');
  await call.take('DATA');
  call.cancel();
  const end = await until(({ ends }) => ends[0]);
  t.equal(end.error?.code, 'client_reset');
});

t.test('answers packets for connections that do not exist', async (t) => {
  const echo = await startEcho(t);
  const { peer } = await start(t, await startTunnel(t));
  const early = open(peer);
  early.data(5n, 'before a dial');
  t.match(await early.take('CLOSE_RSP'), { connectId: 5n, error: 'no connection is open' });
  early.send({ type: 'CLOSE_REQ', connectId: 6n });
  t.match(await early.take('CLOSE_RSP'), { connectId: 6n, error: 'unknown connectID' });
  // Packets of servers and the connection ID 0 are ignored.
  early.send({ type: 'DRAIN' });
  early.data(0n, 'x');
  const connectId = await dial(early, echo.address);
  dialRequest(early, echo.address, 8n);
  t.match(await early.take('DIAL_RSP'), { random: 8n, error: /one connection/ });
  early.data(connectId + 1n, 'for another');
  const error = 'mismatched connection IDs';
  t.match(await early.take('CLOSE_RSP'), { connectId: connectId + 1n, error });
  t.match(await early.take('CLOSE_RSP'), { connectId, error });
  t.match(await early.ended(), { code: grpcStatus.OK });
});

t.test('a call that does not dial ends at its deadline', async (t) => {
  const time = controlTime(t);
  const { peer, seen } = await start(t, failingDial('no_agent'), { headTimeoutMs: 60_000 });
  const ended = await passTime(time, 'the call has ended', open(peer).ended());
  t.match(ended, { code: grpcStatus.DEADLINE_EXCEEDED });
  t.same(seen.refused, ['request_timeout']);
});

t.test('another method is answered with UNIMPLEMENTED', async (t) => {
  const { peer } = await start(t, failingDial('no_agent'));
  const call = peer.call('/ProxyService/Other');
  t.match(await call.ended(), { code: grpcStatus.UNIMPLEMENTED, details: /only .*Proxy/ });
});

t.test('a client that does not read stops reads from the target', async (t) => {
  const endless = 64 * 1024 * 1024;
  const source = await startSourceTarget({ totalBytes: endless });
  t.teardown(() => source.close());
  const echo = await startEcho(t);
  let writes = 0;
  const { peer, frontEnd, uds } = await start(t, await startTunnel(t), {
    grpcObserver: { ...grpcObserver, onWritten: () => writes++ },
  });
  const stalled = open(peer);
  stalled.pause();
  dialRequest(stalled, addressOf(source));
  // Other work, which takes longer than writing all bytes of the source would take.
  const other = open(new GrpcPeer(t, { address: `unix:${uds.path}` }));
  const connectId = await dial(other, echo.address, 2n);
  const piece = Buffer.alloc(64 * 1024);
  let others = 0;
  for (let count = 0; count < 200; count += 1) {
    other.data(connectId, piece);
    for (let bytes = 0; bytes < piece.length; others += 1) {
      bytes += (await other.take('DATA')).data.length;
    }
  }
  t.equal(frontEnd.activeStreams, 2);
  t.ok(writes > others);
  t.ok((writes - others) * 64 * 1024 < endless / 2, 'the server did not read most of the bytes');
  stalled.cancel();
});
