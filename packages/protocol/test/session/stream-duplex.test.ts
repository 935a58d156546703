import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { streamToDuplex, TunnelError, type TunnelStream } from '@fairlead/protocol';
import { eventually } from '@fairlead/testkit/eventually';
import t, { type Test } from 'tap';
import { RecordingStream, sendAll, takeAll } from './recording-handlers.ts';
import { connectedPair, type SessionPair } from './session-pair.ts';

interface Joined {
  readonly pair: SessionPair;
  readonly duplex: Duplex;
  readonly near: TunnelStream;
  readonly far: TunnelStream;
  readonly onFar: RecordingStream;
}

/** Opens a stream with a Duplex at the server's end and a recorder at the agent's end. */
async function join(t: Test): Promise<Joined> {
  const pair = await connectedPair(t);
  let onFar: RecordingStream | undefined;
  pair.onAgent.offer = (stream) => {
    onFar = takeAll(stream, true);
    stream.accept();
  };
  const handler = new RecordingStream();
  const near = pair.server.open({ host: 'a', port: 80 }, handler);
  await handler.until(() => handler.has('opened'));
  const duplex = streamToDuplex(near);
  // Tests that expect an error wait for it. In other tests it can happen when the tunnel is closed.
  duplex.on('error', () => {});
  return { pair, duplex, near, far: pair.onAgent.offered[0]!, onFar: onFar! };
}

t.test('carries bytes and the end in both directions', async (t) => {
  const { duplex, far, onFar, pair } = await join(t);
  const [up, down] = [randomBytes(2_000_000), randomBytes(2_000_000)];
  const chunks: Buffer[] = [];
  duplex.on('data', (chunk: Buffer) => chunks.push(chunk));
  duplex.end(up);
  await Promise.all([
    sendAll(far, onFar, down),
    once(duplex, 'close'),
    onFar.until(() => onFar.isClosed),
  ]);
  t.ok(onFar.got(up), 'the bytes that were sent');
  t.ok(Buffer.concat(chunks).equals(down));
  t.equal(onFar.error, undefined);
  t.equal(pair.server.streamCount + pair.agent.streamCount, 0);
});

t.test('the Duplex stays writable after the half-close of the peer', async (t) => {
  const { duplex, far, onFar } = await join(t);
  far.write(Buffer.from('last bytes'));
  far.end();
  const chunks: Buffer[] = [];
  for await (const chunk of duplex.iterator({ destroyOnReturn: false })) chunks.push(chunk);
  t.equal(Buffer.concat(chunks).toString(), 'last bytes');
  t.ok(duplex.writable);
  duplex.end('an answer');
  await onFar.until(() => onFar.isClosed);
  t.equal(onFar.text, 'an answer');
  t.equal(onFar.error, undefined);
});

t.test('read() returns all bytes', async (t) => {
  const { duplex, far, onFar } = await join(t);
  const payload = randomBytes(1_000_000);
  const sent = sendAll(far, onFar, payload, 65_536);
  const chunks: Buffer[] = [];
  let bytes = 0;
  while (bytes < payload.length) {
    const chunk: Buffer | null = duplex.read();
    if (chunk) {
      chunks.push(chunk);
      bytes += chunk.length;
    } else {
      await once(duplex, 'readable');
    }
  }
  await sent;
  t.ok(Buffer.concat(chunks).equals(payload));
});

t.test('a reader can pause until the window is full and then read all bytes', async (t) => {
  for (const pieceBytes of [512, 5_000, 16_384, 40_000, 65_536]) {
    const { duplex, far, onFar } = await join(t);
    const payload = randomBytes(400_000);
    duplex.pause();
    const sent = sendAll(far, onFar, payload, pieceBytes);
    await eventually('the window is full', () => far.pendingBytes >= 65_536);
    for (let tick = 0; tick < 10; tick++) await new Promise(setImmediate);
    const chunks: Buffer[] = [];
    duplex.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      // Stops repeatedly while bytes are buffered.
      duplex.pause();
      setImmediate(() => duplex.resume());
    });
    duplex.resume();
    await Promise.all([sent, once(duplex, 'end')]);
    t.ok(Buffer.concat(chunks).equals(payload), `pieces of ${pieceBytes} bytes`);
    duplex.destroy();
  }
});

t.test('at most a window is buffered for a reader that does not read', async (t) => {
  const { duplex, far, onFar } = await join(t);
  void sendAll(far, onFar, Buffer.alloc(1_000_000), 10_000);
  await eventually('the window is full', () => far.pendingBytes >= 65_536);
  for (let tick = 0; tick < 50; tick++) await new Promise(setImmediate);
  t.equal(onFar.drains, 0, 'the writer waits');
  t.ok(duplex.readableLength <= 65_536 + duplex.readableHighWaterMark);
  duplex.destroy();
  await onFar.until(() => onFar.isClosed);
});

t.test('writes wait while the peer is stalled', async (t) => {
  const { duplex, near, onFar, far } = await join(t);
  onFar.credits = undefined;
  const block = Buffer.alloc(50_000);
  while (duplex.write(block));
  for (let tick = 0; tick < 20; tick++) await new Promise(setImmediate);
  t.ok(near.pendingBytes <= 131_072 + block.length);
  t.ok(duplex.writableNeedDrain);
  const drained = once(duplex, 'drain');
  onFar.credits = far;
  far.consumed(onFar.byteCount);
  await drained;
});

t.test('destroy() cancels the stream', async (t) => {
  const { duplex, onFar } = await join(t);
  duplex.destroy();
  await onFar.until(() => onFar.isClosed);
  t.equal(onFar.error?.code, 'cancelled');
});

t.test('destroy(TunnelError) resets the stream with its code', async (t) => {
  const { duplex, onFar } = await join(t);
  duplex.destroy(new TunnelError('client_reset'));
  await onFar.until(() => onFar.isClosed);
  t.equal(onFar.error?.code, 'client_reset');
});

t.test('a reset by the peer is an error of the Duplex', async (t) => {
  const { duplex, far } = await join(t);
  const failure = once(duplex, 'error') as Promise<[TunnelError]>;
  far.reset(new TunnelError('target_reset'));
  const [error] = await failure;
  t.equal(error.code, 'target_reset');
  t.ok(duplex.destroyed);
});

t.test('a waiting write fails if the stream is reset', async (t) => {
  const { duplex, onFar, far } = await join(t);
  onFar.credits = undefined;
  const outcomes: (Error | null | undefined)[] = [];
  const wrote = new Promise<void>((resolve) => {
    duplex.write(Buffer.alloc(300_000), (error) => {
      outcomes.push(error);
      resolve();
    });
  });
  await onFar.until(() => onFar.byteCount === 65_536);
  far.reset(new TunnelError('target_reset'));
  await wrote;
  t.equal((outcomes[0] as TunnelError).code, 'target_reset');
});

t.test('a stream that was already reset is an error of its Duplex', async (t) => {
  const { pair, near } = await join(t);
  near.reset(new TunnelError('cancelled'));
  const late = streamToDuplex(near);
  const [error] = (await once(late, 'error')) as [TunnelError];
  t.equal(error.code, 'cancelled');
  t.notOk(pair.onServer.isClosed);
});

t.test('pipeline() works from one Duplex to another', async (t) => {
  const one = await join(t);
  const two = await join(t);
  const payload = randomBytes(3_000_000);
  const done = pipeline(one.duplex, two.duplex);
  await sendAll(one.far, one.onFar, payload);
  await two.onFar.until(() => two.onFar.has('end'));
  t.ok(two.onFar.got(payload), 'the bytes that were sent');
  two.far.end();
  two.duplex.resume();
  await done;
});
