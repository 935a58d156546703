import {
  MemoryBudget,
  Session,
  type Transport,
  type TransportSink,
  TunnelError,
} from '@fairlead/protocol';
import t from 'tap';
import { bytes, HELLO, RawPeer } from './raw-peer.ts';
import { RecordingSession, RecordingStream } from './recording-handlers.ts';
import { openStream } from './session-contract.ts';
import { connectedPair, memoryTransports } from './session-pair.ts';

const target = { host: 'a', port: 80 };

t.test('3.11 streams above the limit of the acceptor are refused', async (t) => {
  const peer = new RawPeer(t, 'agent', { maxStreams: 2 });
  peer.send(HELLO);
  for (const id of ['02', '04', '06']) peer.send(`02 00 0004 000000${id} 0050 01 61`);
  const refused = await peer.frame('OPEN_FAILED');
  t.equal(refused.id, 6);
  t.equal(refused.code, 65, 'limit_reached');
  t.equal(peer.on.offered.length, 2, 'onOpen was not called');
  peer.send('07 00 0002 00000002 0000', '02 00 0004 00000008 0050 01 61');
  await peer.on.until(() => peer.on.offered.length === 3);
  t.equal(peer.on.offered[2]?.id, 8, 'a closed stream makes room');
});

t.test('2.4 a session respects the maxStreams of its peer', async (t) => {
  const pair = await connectedPair(t, memoryTransports(), {}, { hello: { maxStreams: 2 } });
  const first = await openStream(pair);
  await openStream(pair);
  t.throws(() => pair.server.open(target, new RecordingStream()), { code: 'limit_reached' });
  first.near.reset(new TunnelError('cancelled'));
  await openStream(pair);
});

t.test("2.4 the peer's own streams do not count towards its maxStreams", async (t) => {
  const pair = await connectedPair(t, memoryTransports(), {}, { hello: { maxStreams: 1 } });
  await openStream(pair, 'agent');
  await openStream(pair, 'agent');
  await openStream(pair, 'server');
  t.throws(() => pair.server.open(target, new RecordingStream()), { code: 'limit_reached' });
});

for (const [what, wrong] of [
  ['an empty host', { host: '', port: 80 }],
  ['a host of 254 bytes', { host: 'ü'.repeat(127), port: 80 }],
  ['port 0', { host: 'a', port: 0 }],
  ['port 65536', { host: 'a', port: 65_536 }],
] as const) {
  t.test(`3.4 a target with ${what} fails its stream and not the tunnel`, async (t) => {
    const pair = await connectedPair(t);
    t.throws(() => pair.server.open(wrong, new RecordingStream()), { code: 'bad_target' });
    t.equal(pair.server.streamCount, 0);
    const stream = await openStream(pair);
    t.equal(stream.near.id, 2);
  });
}

t.test('3.12 if few IDs are left, a notice is sent, and streams can still be opened', async (t) => {
  const firstStreamId = 2 ** 31 - 2 * 2 ** 20 - 4;
  const pair = await connectedPair(t, memoryTransports(), { firstStreamId });
  const notices = pair.onAgent.drainings;
  let opened = 0;
  for (; notices.length === 0 && opened < 10; opened++) await openStream(pair);
  t.ok(opened >= 2 && opened < 10, `after ${opened} streams`);
  t.equal(notices[0]?.code, 'ids_exhausted');
  await openStream(pair);
  t.equal(notices.length, 1, 'one notice');
  t.ok(pair.server.isDraining);
});

for (const role of ['server', 'agent'] as const) {
  t.test(`6.1 a final GOAWAY after the ${role}'s last ID is not a notice`, async (t) => {
    const firstStreamId = 2 ** 31 - (role === 'server' ? 4 : 5);
    const pair = await connectedPair(
      t,
      memoryTransports(),
      ...(role === 'server' ? [{ firstStreamId }] : [{}, { firstStreamId }]),
    );
    let lastId = 0;
    const openAll = async () => {
      for (;;) lastId = (await openStream(pair, role)).near.id;
    };
    await t.rejects(openAll(), { code: 'ids_exhausted' });
    t.ok(lastId >= firstStreamId);
    const other = role === 'server' ? pair.agent : pair.server;
    const on = role === 'server' ? pair.onServer : pair.onAgent;
    other.close(new TunnelError('superseded'));
    t.equal((await on.closed())?.code, 'superseded');
    t.strictSame(on.drainings, []);
  });
}

t.test('6.1 a final GOAWAY after the ID 2^31-1 is not a notice', async (t) => {
  const peer = new RawPeer(t, 'server');
  peer.send(HELLO, '02 00 0004 7fffffff 0050 01 61');
  await peer.on.until(() => peer.on.offered.length === 1);
  peer.session.close(new TunnelError('superseded'));
  const { lastId } = await peer.frame('GOAWAY');
  t.ok(lastId < 2 ** 31 - 1);
});

t.test('4.6 a process at its memory cap opens and accepts no streams', async (t) => {
  const memory = new MemoryBudget(100_000);
  const pair = await connectedPair(t, memoryTransports(), { memory });
  memory.hold(100_000);
  t.throws(() => pair.server.open(target, new RecordingStream()), { code: 'memory_limit' });
  const refused = new RecordingStream();
  pair.agent.open(target, refused);
  await refused.until(() => refused.isClosed);
  t.equal(refused.error?.code, 'memory_limit');
  t.ok(refused.error?.retryElsewhere);
  memory.release(100_000);
  await openStream(pair, 'agent');
  await openStream(pair, 'server');
});

t.test('4.6 above the cap, the stalled stream with the most bytes is reset', async (t) => {
  const memory = new MemoryBudget(150_000);
  const pair = await connectedPair(t, memoryTransports(), {}, { memory });
  const stalled = [];
  for (const bytes of [20_000, 60_000, 50_000]) {
    const stream = await openStream(pair);
    stream.onFar.credits = undefined;
    stream.near.write(Buffer.alloc(bytes));
    await stream.onFar.until(() => stream.onFar.byteCount === bytes);
    stalled.push(stream);
  }
  t.equal(memory.bufferedBytes, 130_000);
  const last = await openStream(pair);
  last.onFar.credits = undefined;
  last.near.write(Buffer.alloc(30_000));
  const [, largest] = stalled;
  await largest!.onNear.until(() => largest!.onNear.isClosed);
  t.equal(largest!.onFar.error?.code, 'memory_limit');
  t.equal(largest!.onNear.error?.code, 'memory_limit');
  await last.onFar.until(() => last.onFar.byteCount === 30_000);
  t.equal(memory.bufferedBytes, 100_000, 'the bytes of the stream are released');
  t.notOk(stalled[0]!.far.isClosed || stalled[2]!.far.isClosed || last.far.isClosed);
});

t.test('4.6 the cap of the process counts the streams of all its tunnels', async (t) => {
  const process = new MemoryBudget(100_000);
  const one = await connectedPair(
    t,
    memoryTransports(),
    {},
    { memory: new MemoryBudget(90_000, process) },
  );
  const other = await connectedPair(
    t,
    memoryTransports(),
    {},
    { memory: new MemoryBudget(90_000, process) },
  );
  const [large, small] = [await openStream(one), await openStream(other)];
  large.onFar.credits = small.onFar.credits = undefined;
  large.near.write(Buffer.alloc(60_000));
  await large.onFar.until(() => large.onFar.byteCount === 60_000);
  small.near.write(Buffer.alloc(50_000));
  await large.onNear.until(() => large.onNear.isClosed);
  t.equal(large.onNear.error?.code, 'memory_limit');
  await small.onFar.until(() => small.onFar.byteCount === 50_000);
  t.notOk(small.near.isClosed);
  t.equal(process.bufferedBytes, 50_000);
  one.agent.close();
  other.agent.close();
  t.equal(process.bufferedBytes, 0);
});

t.test('4.6 bytes that wait for credit of the peer count too', async (t) => {
  const memory = new MemoryBudget(200_000);
  const pair = await connectedPair(t, memoryTransports(), { memory });
  const stream = await openStream(pair);
  stream.onFar.credits = undefined;
  stream.near.write(Buffer.alloc(65_536));
  await stream.onFar.until(() => stream.onFar.byteCount === 65_536);
  t.equal(memory.bufferedBytes, 0, 'sent');
  t.notOk(stream.near.write(Buffer.alloc(150_000)), 'these bytes wait for credit');
  t.equal(memory.bufferedBytes, 150_000);
  stream.near.write(Buffer.alloc(60_000));
  t.equal(stream.onNear.error?.code, 'memory_limit');
  t.equal(memory.bufferedBytes, 0);
});

/** A transport to a peer that does not read. */
class UnreadTransport implements Transport {
  readonly kind = 'memory';
  sink: TransportSink | undefined;
  writes = 0;
  destroyedWith: Error | undefined;

  start(sink: TransportSink): void {
    this.sink = sink;
  }

  write(): void {
    this.writes++;
  }

  end(): void {}

  destroy(error?: Error): void {
    this.destroyedWith = error;
  }
}

t.test('8.1 the tunnel is closed if a peer does not read 4 MiB of answers', async (t) => {
  const transport = new UnreadTransport();
  const on = new RecordingSession();
  on.offer = (stream) => stream.refuse(new TunnelError('target_refused', 'x'.repeat(250)));
  const session = new Session(transport, on, { role: 'agent', hello: {} }).start();
  transport.sink?.onBytes(bytes(HELLO));
  let opens = 0;
  while (!on.isClosed && opens < 40_000) {
    opens++;
    const id = (2 * opens).toString(16).padStart(8, '0');
    transport.sink?.onBytes(bytes(`02 00 0004 ${id} 0050 01 61`));
  }
  t.equal(on.closes[0]?.code, 'limit_reached');
  t.equal((transport.destroyedWith as TunnelError).code, 'limit_reached');
  t.ok(opens > (4 * 1_048_576) / 300 && opens < (4 * 1_048_576) / 200, `after ${opens} OPENs`);
  t.equal(transport.writes, 0, 'nothing was written');
  t.ok(session.isClosed);
});

t.test('7.4 many PINGs do not queue answers in a blocked session', async (t) => {
  const transport = new UnreadTransport();
  const on = new RecordingSession();
  new Session(transport, on, { role: 'agent', hello: {} }).start();
  t.teardown(() => transport.sink?.onClose());
  transport.sink?.onBytes(bytes(HELLO));
  await new Promise(setImmediate);
  const pings = bytes('09 00 0008 00000000 0000000000000001'.repeat(1000));
  for (let round = 0; round < 400; round++) transport.sink?.onBytes(pings);
  t.notOk(on.isClosed);
});
