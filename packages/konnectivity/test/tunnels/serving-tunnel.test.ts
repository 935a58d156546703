import { ServingTunnel } from '@fairlead/konnectivity';
import { TunnelError, type TunnelStream } from '@fairlead/protocol';
import { controlTime } from '@fairlead/testkit/controlled-time';
import t, { type Test } from 'tap';
import { RawPeer, startCall } from './call-pair.ts';
import { RecordingHandler } from './recording-handler.ts';

/** Starts the agent's end of a tunnel. Its peer is a raw server. */
async function start(t: Test) {
  const call = await startCall(t);
  const server = new RawPeer(call.server);
  const offered: TunnelStream[] = [];
  let idle = 0;
  let onClosed: (error: TunnelError | undefined) => void = () => {};
  const closed = new Promise<TunnelError | undefined>((resolve) => {
    onClosed = resolve;
  });
  const wakeUps: (() => void)[] = [];
  const tunnel = new ServingTunnel(
    call.client,
    {
      onOpen: (stream) => {
        stream.attach({ onClose() {} });
        offered.push(stream);
        for (const wake of wakeUps.splice(0)) wake();
      },
      onIdle: () => {
        idle += 1;
      },
      onClose: (error) => onClosed(error),
    },
    { probe: (onAnswer) => onAnswer(1) },
  ).start();
  t.teardown(() => tunnel.destroy(new TunnelError('shutting_down')));
  const nextOffer = async () => {
    if (offered.length === 0) await new Promise<void>((resolve) => wakeUps.push(resolve));
    return offered.shift()!;
  };
  return { tunnel, server, nextOffer, closed, idle: () => idle };
}

type Started = Awaited<ReturnType<typeof start>>;

let random = 0n;

/** Opens a connection and accepts it. */
async function open({ server, nextOffer }: Started) {
  random += 1n;
  server.send({ type: 'DIAL_REQ', protocol: 'tcp', address: '127.0.0.1:80', random });
  const stream = await nextOffer();
  stream.accept();
  const { connectId, ...answer } = await server.take('DIAL_RSP');
  return { stream, connectId, answer };
}

const data = (connectId: bigint, text: string) =>
  ({ type: 'DATA', connectId, error: '', data: Buffer.from(text) }) as const;

t.test('dials, carries bytes in both directions and ends with the target', async (t) => {
  const started = await start(t);
  const { server, tunnel } = started;
  const { stream, connectId, answer } = await open(started);
  t.same(stream.target, { host: '127.0.0.1', port: 80 });
  t.same(answer, { type: 'DIAL_RSP', error: '', random });
  t.ok(connectId > 0n);
  const handler = new RecordingHandler(stream);
  server.send(data(connectId, 'request'));
  await handler.until(() => handler.text === 'request');
  stream.write(Buffer.from('answer'));
  stream.end();
  t.match(await server.take('DATA'), { connectId, data: Buffer.from('answer') });
  t.same(await server.take('CLOSE_RSP'), { type: 'CLOSE_RSP', connectId, error: '' });
  t.match(handler, { ends: 1, closes: [undefined] });
  t.equal(tunnel.streamCount, 0);
  t.equal(started.idle(), 1);
});

t.test('connection IDs are unique in the process', async (t) => {
  const [first, second] = [await open(await start(t)), await open(await start(t))];
  t.equal(second.connectId, first.connectId + 1n);
});

t.test('a failed dial reports the reason in Go’s texts', async (t) => {
  const { server, nextOffer } = await start(t);
  server.send({ type: 'DIAL_REQ', protocol: 'tcp', address: 'a:1', random: 3n });
  (await nextOffer()).refuse(new TunnelError('target_refused'));
  const text = 'connection refused: the target refused the connection';
  t.same(await server.take('DIAL_RSP'), {
    type: 'DIAL_RSP',
    random: 3n,
    connectId: 0n,
    error: text,
  });
  server.send({ type: 'DIAL_REQ', protocol: 'tcp', address: 'nonsense', random: 4n });
  t.match(await server.take('DIAL_RSP'), { random: 4n, connectId: 0n, error: /want HOST:PORT/ });
});

t.test('DIAL_CLS cancels a dial, and its answer is not sent', async (t) => {
  const { server, nextOffer, tunnel } = await start(t);
  server.send({ type: 'DIAL_REQ', protocol: 'tcp', address: 'a:1', random: 3n });
  const stream = await nextOffer();
  const handler = new RecordingHandler(stream);
  server.send({ type: 'DIAL_CLS', random: 3n });
  await handler.until(() => handler.closes.length > 0);
  t.match(handler.closes, [{ code: 'cancelled' }]);
  stream.accept();
  stream.refuse(new TunnelError('dial_failed'));
  tunnel.drain();
  await server.take('DRAIN');
});

t.test('after a close of the client, the target receives the remaining bytes', async (t) => {
  const started = await start(t);
  const { stream, connectId } = await open(started);
  const handler = new RecordingHandler(stream);
  started.server.send(data(connectId, 'last bytes'));
  started.server.send({ type: 'CLOSE_REQ', connectId });
  t.same(await started.server.take('CLOSE_RSP'), { type: 'CLOSE_RSP', connectId, error: '' });
  t.match(handler, { text: 'last bytes', ends: 1, closes: [] });
  t.equal(stream.write(Buffer.from('not read')), true);
  stream.end();
  t.same(handler.closes, [undefined]);
  t.same(started.server.received, []);
});

t.test('a reset of the target is sent as an error', async (t) => {
  const started = await start(t);
  const { stream, connectId } = await open(started);
  stream.reset(new TunnelError('target_reset'));
  t.match(await started.server.take('CLOSE_RSP'), { connectId, error: /reset/ });
});

t.test('packets for an unknown connection are answered', async (t) => {
  const { server } = await start(t);
  server.send(data(99_999n, 'x'));
  const error = 'unrecognized connectID';
  t.same(await server.take('CLOSE_RSP'), { type: 'CLOSE_RSP', connectId: 99_999n, error });
  server.send({ type: 'CLOSE_REQ', connectId: 99_998n });
  t.same(await server.take('CLOSE_RSP'), { type: 'CLOSE_RSP', connectId: 99_998n, error });
});

t.test('the first bytes of a target are delayed until the client sends or a timeout', async (t) => {
  const started = await start(t);
  const time = controlTime(t);
  const { stream, connectId } = await open(started);
  new RecordingHandler(stream);
  t.equal(stream.write(Buffer.from('220 hello')), false, 'the bytes are delayed');
  await time.advance(24);
  t.equal(stream.write(Buffer.from(', world')), false, 'the bytes are delayed for 25 ms');
  stream.end();
  await time.advance(1);
  t.match(await started.server.take('DATA'), { connectId, data: Buffer.from('220 hello') });
  t.match(await started.server.take('DATA'), { connectId, data: Buffer.from(', world') });
  t.match(await started.server.take('CLOSE_RSP'), { connectId, error: '' });
  const second = await open(started);
  const handler = new RecordingHandler(second.stream);
  started.server.send(data(second.connectId, 'client'));
  await handler.until(() => handler.text === 'client');
  t.equal(second.stream.write(Buffer.from('at once')), true);
});

t.test('streams wait if the call is full', async (t) => {
  const started = await start(t);
  const { stream, connectId } = await open(started);
  const handler = new RecordingHandler(stream);
  started.server.send(data(connectId, 'go'));
  await handler.until(() => handler.text === 'go');
  const piece = Buffer.alloc(64 * 1024);
  let sent = 0;
  while (stream.write(piece)) sent += piece.length;
  sent += piece.length;
  t.ok(sent <= 1024 * 1024, 'write returned false in time');
  await handler.until(() => handler.drains === 1);
  stream.end();
  let received = 0;
  for (;;) {
    await started.server.until(() => started.server.received.length > 0);
    const packet = started.server.received.shift()!;
    if (packet.type === 'CLOSE_RSP') break;
    if (packet.type === 'DATA') received += packet.data.length;
  }
  t.equal(received, sent);
});

t.test('the end of the tunnel ends its dials and streams', async (t) => {
  const started = await start(t);
  const { stream } = await open(started);
  const handler = new RecordingHandler(stream);
  started.server.end();
  await handler.until(() => handler.closes.length > 0);
  t.ok(handler.closes[0] instanceof TunnelError || handler.closes[0] === undefined);
  await started.closed;
  t.equal(started.tunnel.streamCount, 0);
});
