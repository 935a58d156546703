import { ServingTunnel } from '@fairlead/konnectivity';
import { TunnelError, type TunnelStream } from '@fairlead/protocol';
import t, { type Test } from 'tap';
import { RawPeer, startCall } from './call-pair.ts';
import { RecordingHandler } from './recording-handler.ts';

/** The agent's tunnel, and a raw server. */
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

/** A connection whose target the agent has reached. */
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

t.test('a dial, bytes in both directions, and the target’s end', async (t) => {
  const started = await start(t);
  const { server, tunnel } = started;
  const { stream, connectId, answer } = await open(started);
  t.same(stream.target, { host: '127.0.0.1', port: 80 });
  t.same(answer, { type: 'DIAL_RSP', error: '', random });
  t.ok(connectId > 0n);
  const heard = new RecordingHandler(stream);
  server.send(data(connectId, 'request'));
  await heard.until(() => heard.text === 'request');
  stream.write(Buffer.from('answer'));
  stream.end();
  t.match(await server.take('DATA'), { connectId, data: Buffer.from('answer') });
  t.same(await server.take('CLOSE_RSP'), { type: 'CLOSE_RSP', connectId, error: '' });
  t.match(heard, { ends: 1, closes: [undefined] });
  t.equal(tunnel.streamCount, 0);
  t.equal(started.idle(), 1);
});

t.test('connections are numbered per process, not per tunnel', async (t) => {
  const [first, second] = [await open(await start(t)), await open(await start(t))];
  t.equal(second.connectId, first.connectId + 1n);
});

t.test('a failed dial reports the reason in Go’s words', async (t) => {
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

t.test('DIAL_CLS ends a dial, and its answer is not sent', async (t) => {
  const { server, nextOffer, tunnel } = await start(t);
  server.send({ type: 'DIAL_REQ', protocol: 'tcp', address: 'a:1', random: 3n });
  const stream = await nextOffer();
  const heard = new RecordingHandler(stream);
  server.send({ type: 'DIAL_CLS', random: 3n });
  await heard.until(() => heard.closes.length > 0);
  t.match(heard.closes, [{ code: 'cancelled' }]);
  stream.accept();
  stream.refuse(new TunnelError('dial_failed'));
  tunnel.drain();
  await server.take('DRAIN');
});

t.test('when the client closes, the target gets the remaining bytes and the end', async (t) => {
  const started = await start(t);
  const { stream, connectId } = await open(started);
  const heard = new RecordingHandler(stream);
  started.server.send(data(connectId, 'last words'));
  started.server.send({ type: 'CLOSE_REQ', connectId });
  t.same(await started.server.take('CLOSE_RSP'), { type: 'CLOSE_RSP', connectId, error: '' });
  t.match(heard, { text: 'last words', ends: 1, closes: [] });
  t.equal(stream.write(Buffer.from('not read')), true);
  stream.end();
  t.same(heard.closes, [undefined]);
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

t.test('a target that speaks first waits for the client, but not for long', async (t) => {
  const started = await start(t);
  const { stream, connectId } = await open(started);
  new RecordingHandler(stream);
  t.equal(stream.write(Buffer.from('220 hello')), false, 'held back');
  stream.end();
  t.match(await started.server.take('DATA'), { connectId, data: Buffer.from('220 hello') });
  t.match(await started.server.take('CLOSE_RSP'), { connectId, error: '' });
  const second = await open(started);
  const heard = new RecordingHandler(second.stream);
  started.server.send(data(second.connectId, 'client'));
  await heard.until(() => heard.text === 'client');
  t.equal(second.stream.write(Buffer.from('at once')), true);
});

t.test('a tunnel with more to send than the link takes makes streams wait', async (t) => {
  const started = await start(t);
  const { stream, connectId } = await open(started);
  const heard = new RecordingHandler(stream);
  started.server.send(data(connectId, 'go'));
  await heard.until(() => heard.text === 'go');
  const piece = Buffer.alloc(64 * 1024);
  let sent = 0;
  while (stream.write(piece)) sent += piece.length;
  sent += piece.length;
  t.ok(sent <= 1024 * 1024, 'write returned false in time');
  await heard.until(() => heard.drains === 1);
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
  const heard = new RecordingHandler(stream);
  started.server.end();
  await heard.until(() => heard.closes.length > 0);
  t.ok(heard.closes[0] instanceof TunnelError || heard.closes[0] === undefined);
  await started.closed;
  t.equal(started.tunnel.streamCount, 0);
});
