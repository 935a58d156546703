import { TunnelError, type TunnelStream } from '@fairlead/protocol';
import t from 'tap';
import { HELLO, RawPeer } from './raw-peer.ts';
import { RecordingStream, takeAll } from './recording-handlers.ts';
import { openStream } from './session-contract.ts';
import { connectedPair } from './session-pair.ts';

const target = { host: 'a', port: 80 };

/** Opens a stream without a consumer and waits until it is opened. */
async function openWithoutConsumer(peer: RawPeer): Promise<TunnelStream> {
  peer.send(HELLO);
  await peer.on.until(() => peer.on.hellos.length > 0);
  let stream: TunnelStream | undefined;
  const opened = new Promise<void>((resolve, reject) => {
    stream = peer.session.open(target, {
      onOpened: resolve,
      onClose: (error) => reject(error ?? new Error('closed')),
    });
  });
  await peer.frame('OPEN');
  peer.send('03 00 0000 00000001');
  await opened;
  return stream!;
}

t.test('bytes that arrive before a consumer is attached are delivered later', async (t) => {
  const peer = new RawPeer(t, 'agent');
  const stream = await openWithoutConsumer(peer);
  peer.send('05 00 0002 00000001 6162', '05 00 0001 00000001 63', '06 00 0000 00000001');
  peer.send('09 00 0008 00000000 0000000000000001');
  await peer.frame('PONG');
  const handler = takeAll(stream, true);
  t.equal(handler.text, 'abc');
  t.strictSame(handler.events, ['data', 'end']);
  stream.end();
  await handler.until(() => handler.isClosed);
  t.equal(handler.error, undefined);
});

t.test('without a consumer, at most a window of bytes is accepted', async (t) => {
  const peer = new RawPeer(t, 'agent');
  await openWithoutConsumer(peer);
  peer.send(`05 00 ffff 00000001 ${'61'.repeat(65_535)}`, '05 00 0002 00000001 6161');
  t.equal((await peer.on.closed())?.code, 'flow_control_error');
});

t.test('a consumer that resets the stream in onData receives no more bytes', async (t) => {
  const peer = new RawPeer(t, 'agent');
  const stream = await openWithoutConsumer(peer);
  peer.send('05 00 0001 00000001 61', '05 00 0001 00000001 62', '06 00 0000 00000001');
  peer.send('09 00 0008 00000000 0000000000000001');
  await peer.frame('PONG');
  const events: string[] = [];
  stream.attach({
    onData(chunk) {
      events.push(chunk.toString());
      stream.reset(new TunnelError('cancelled'));
    },
    onEnd: () => events.push('end'),
    onDrain: () => events.push('drain'),
    onClose: (error) => events.push(`close ${error?.code}`),
  });
  t.strictSame(events, ['a', 'close cancelled']);
});

t.test('a consumer that is attached after a reset receives the error', async (t) => {
  const pair = await connectedPair(t);
  const stream = await openStream(pair);
  stream.near.reset(new TunnelError('client_reset'));
  const late = new RecordingStream();
  stream.near.attach(late);
  t.strictSame(late.events, ['close']);
  t.equal(late.error?.code, 'client_reset');
  t.ok(stream.near.write(Buffer.from('x')), 'writes are ignored');
  stream.near.end();
  stream.near.accept();
  stream.near.refuse(new TunnelError('cancelled'));
  stream.near.consumed(1);
  stream.near.reset(new TunnelError('cancelled'));
  t.strictSame(late.events, ['close']);
});

t.test('onIdle is called when the last stream has closed', async (t) => {
  const pair = await connectedPair(t);
  let idle = 0;
  Object.assign(pair.onServer, { onIdle: () => idle++ });
  const [one, two] = [await openStream(pair), await openStream(pair, 'agent')];
  one.near.reset(new TunnelError('cancelled'));
  t.equal(idle, 0);
  two.far.reset(new TunnelError('cancelled'));
  t.equal(idle, 1);
  await openStream(pair);
  pair.server.close();
  t.equal(idle, 1, 'it is not called at the end of the session');
});

t.test('onClose is the last call, even if a write waited', async (t) => {
  const pair = await connectedPair(t);
  const bulk = await openStream(pair);
  const last = await openStream(pair);
  last.far.end();
  await last.onNear.until(() => last.onNear.has('end'));
  // Both streams send in one flush, and the end of one resets the other.
  last.onNear.onClose = () => bulk.near.reset(new TunnelError('cancelled'));
  bulk.near.write(Buffer.alloc(32_760));
  t.notOk(bulk.near.write(Buffer.alloc(100_000)));
  last.near.write(Buffer.alloc(20_000));
  last.near.end();
  await bulk.onNear.until(() => bulk.onNear.isClosed);
  await bulk.onFar.until(() => bulk.onFar.isClosed);
  t.equal(bulk.onNear.events.at(-1), 'close');
});

t.test('a consumer can close the session while FIN is sent', async (t) => {
  const pair = await connectedPair(t);
  const [stream, other] = [await openStream(pair), await openStream(pair)];
  stream.far.end();
  await stream.onNear.until(() => stream.onNear.has('end'));
  stream.onNear.onClose = () => pair.server.close(new TunnelError('superseded'));
  stream.near.end();
  other.near.write(Buffer.alloc(50_000));
  t.equal((await pair.onAgent.closed())?.code, 'superseded');
  t.equal((await pair.onServer.closed())?.code, 'superseded');
  t.equal(other.onNear.error?.code, 'superseded');
});
