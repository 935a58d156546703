import { DialingTunnel, type DialingTunnelOptions } from '@fairlead/konnectivity';
import { MemoryBudget, TunnelError } from '@fairlead/protocol';
import t, { type Test } from 'tap';
import { dialTunnel, RawPeer, startCall } from './call-pair.ts';
import { RecordingHandler } from './recording-handler.ts';

const target = { host: 'fd00::1', port: 443 };
const never = new AbortController().signal;

/** Starts the server's end of a tunnel. Its peer is a raw agent. */
async function start(t: Test, options: Partial<DialingTunnelOptions> = {}) {
  const { server, client } = await startCall(t);
  const agent = new RawPeer(client);
  const events: string[] = [];
  const heldUp: boolean[] = [];
  let onClosed: (error: TunnelError | undefined) => void = () => {};
  const closed = new Promise<TunnelError | undefined>((resolve) => {
    onClosed = resolve;
  });
  const tunnel = new DialingTunnel(
    server,
    {
      onDraining: () => events.push('draining'),
      onUnknownDial: () => events.push('unknown dial'),
      onClose: (error) => onClosed(error),
    },
    {
      probe: (onAnswer) => onAnswer(1),
      onHeldUp: (isHeldUp) => heldUp.push(isHeldUp),
      ...options,
    },
  ).start();
  t.teardown(() => tunnel.destroy(new TunnelError('shutting_down')));
  return { tunnel, agent, events, heldUp, closed };
}

type Started = Awaited<ReturnType<typeof start>>;

async function dial({ tunnel, agent }: Started, connectId = 1n) {
  const dialing = dialTunnel(tunnel, target, never);
  const { random } = await agent.take('DIAL_REQ');
  agent.send({ type: 'DIAL_RSP', random, connectId, error: '' });
  return dialing;
}

const data = (connectId: bigint, text: string) =>
  ({ type: 'DATA', connectId, error: '', data: Buffer.from(text) }) as const;

t.test('dials, carries bytes in both directions and ends with the target', async (t) => {
  const started = await start(t);
  const { tunnel, agent } = started;
  const dialing = dialTunnel(tunnel, target, never);
  t.equal(tunnel.streamCount, 1);
  const request = await agent.take('DIAL_REQ');
  t.match(request, { protocol: 'tcp', address: '[fd00::1]:443' });
  t.ok(request.random > 0n && request.random < 2n ** 63n);
  agent.send({ type: 'DIAL_RSP', random: request.random, connectId: 7n, error: '' });
  // These bytes arrive before a consumer is attached.
  agent.send(data(7n, 'hello'));
  const stream = await dialing;
  t.same(stream.target, target);
  const handler = new RecordingHandler(stream);
  stream.write(Buffer.from('request'));
  t.match(await agent.take('DATA'), { connectId: 7n, data: Buffer.from('request') });
  agent.send({ type: 'CLOSE_RSP', connectId: 7n, error: '' });
  await handler.until(() => handler.ends === 1);
  t.equal(handler.text, 'hello');
  t.same(handler.closes, [], 'the client has not ended its side');
  t.equal(stream.write(Buffer.from('late')), true, 'late bytes are dropped');
  stream.end();
  t.same(handler.closes, [undefined]);
  t.equal(tunnel.streamCount, 0);
  t.same(agent.received, [], 'the agent receives no CLOSE_REQ after its CLOSE_RSP');
});

t.test('matches the answers of concurrent dials by their random numbers', async (t) => {
  const { tunnel, agent } = await start(t);
  const dials = [
    dialTunnel(tunnel, { host: 'a', port: 1 }, never),
    dialTunnel(tunnel, target, never),
  ];
  const [first, second] = [await agent.take('DIAL_REQ'), await agent.take('DIAL_REQ')];
  agent.send({ type: 'DIAL_RSP', random: second.random, connectId: 1n, error: '' });
  agent.send({ type: 'DIAL_RSP', random: first.random, connectId: 2n, error: '' });
  const streams = await Promise.all(dials);
  t.same(
    streams.map((stream) => stream.target.host),
    ['a', 'fd00::1'],
  );
  new RecordingHandler(streams[1]!);
  const handler = new RecordingHandler(streams[0]!);
  agent.send(data(2n, 'for a'));
  await handler.until(() => handler.text === 'for a');
});

t.test('a failed dial reports the reason', async (t) => {
  const { tunnel, agent } = await start(t);
  const dialing = dialTunnel(tunnel, target, never);
  const { random } = await agent.take('DIAL_REQ');
  const error = 'dial tcp [fd00::1]:443: connect: connection refused';
  agent.send({ type: 'DIAL_RSP', random, connectId: 0n, error });
  await t.rejects(dialing, { code: 'target_refused', message: error });
  t.equal(tunnel.streamCount, 0);
});

t.test('an aborted dial is canceled, and the connection of a late answer is closed', async (t) => {
  const { tunnel, agent, events } = await start(t);
  const abort = new AbortController();
  const dialing = dialTunnel(tunnel, target, abort.signal);
  const { random } = await agent.take('DIAL_REQ');
  abort.abort(new TunnelError('cancelled'));
  await t.rejects(dialing, { code: 'cancelled' });
  t.same(await agent.take('DIAL_CLS'), { type: 'DIAL_CLS', random });
  agent.send({ type: 'DIAL_RSP', random, connectId: 5n, error: '' });
  t.same(await agent.take('CLOSE_REQ'), { type: 'CLOSE_REQ', connectId: 5n });
  t.same(events, ['unknown dial']);
  // Packets of a closed connection are ignored, and those of an unknown one are answered.
  agent.send(data(5n, 'late'));
  agent.send(data(6n, 'unknown'));
  t.same(await agent.take('CLOSE_REQ'), { type: 'CLOSE_REQ', connectId: 6n });
});

t.test('the end of a client is not sent before the target ends', async (t) => {
  const started = await start(t);
  const { agent } = started;
  const stream = await dial(started);
  const handler = new RecordingHandler(stream);
  stream.write(Buffer.from('request'));
  stream.end();
  await agent.take('DATA');
  agent.send(data(1n, 'the answer'));
  agent.send({ type: 'CLOSE_RSP', connectId: 1n, error: '' });
  await handler.until(() => handler.closes.length > 0);
  t.match(handler, { text: 'the answer', ends: 1, closes: [undefined] });
  t.same(agent.received, []);
});

t.test('the end of a client is sent as a close if the target is idle', async (t) => {
  const started = await start(t, { halfCloseTimeoutMs: 20 });
  const handler = new RecordingHandler(await dial(started));
  const stream = await dial(started, 2n);
  const other = new RecordingHandler(stream);
  stream.end();
  t.same(await started.agent.take('CLOSE_REQ'), { type: 'CLOSE_REQ', connectId: 2n });
  t.match(other, { ends: 1, closes: [undefined] }, 'without an error');
  t.same(handler.closes, [], 'streams whose client has not ended stay open');
});

t.test('a stream whose target has closed is reset if its client is idle', async (t) => {
  const started = await start(t, { halfCloseTimeoutMs: 20 });
  const handler = new RecordingHandler(await dial(started));
  started.agent.send({ type: 'CLOSE_RSP', connectId: 1n, error: '' });
  await handler.until(() => handler.closes.length > 0);
  t.match(handler.closes, [{ code: 'cancelled' }]);
});

t.test('a reset is sent to the agent, and an error of the agent is a reset', async (t) => {
  const started = await start(t);
  const stream = await dial(started);
  const handler = new RecordingHandler(stream);
  stream.reset(new TunnelError('client_reset'));
  t.same(await started.agent.take('CLOSE_REQ'), { type: 'CLOSE_REQ', connectId: 1n });
  t.match(handler.closes, [{ code: 'client_reset' }]);
  const other = new RecordingHandler(await dial(started, 2n));
  started.agent.send({ type: 'CLOSE_RSP', connectId: 2n, error: 'unrecognized connectID' });
  await other.until(() => other.closes.length > 0);
  t.match(other.closes, [{ code: 'target_reset', message: 'unrecognized connectID' }]);
});

t.test('a full stream stops the tunnel, and is reset if its consumer is stalled', async (t) => {
  const started = await start(t, { stalledStreamTimeoutMs: 50 });
  const { agent, heldUp } = started;
  const stalled = new RecordingHandler(await dial(started, 1n), false);
  const healthy = new RecordingHandler(await dial(started, 2n));
  const piece = 'x'.repeat(64 * 1024);
  for (let count = 0; count < 64; count += 1) agent.send(data(1n, piece));
  agent.send(data(2n, 'after it'));
  await healthy.until(() => healthy.text === 'after it');
  t.match(stalled.closes, [{ code: 'limit_reached' }]);
  t.ok(stalled.bytes >= 1024 * 1024, 'at least a MiB was accepted');
  t.ok(stalled.bytes < 2 * 1024 * 1024, 'less than two MiB were accepted');
  t.same(heldUp, [true, false]);
  t.same(await agent.take('CLOSE_REQ'), { type: 'CLOSE_REQ', connectId: 1n });
});

t.test('a full stream with a slow consumer loses no bytes', async (t) => {
  const started = await start(t, { stalledStreamTimeoutMs: 60_000 });
  const stream = await dial(started);
  const slow = new RecordingHandler(stream, false);
  const total = 4 * 1024 * 1024;
  for (let sent = 0; sent < total; sent += 65_536) started.agent.send(data(1n, 'x'.repeat(65_536)));
  let taken = 0;
  while (taken < total) {
    await slow.until(() => slow.bytes > taken);
    const bytes = slow.bytes - taken;
    taken += bytes;
    // Consumes later than the tunnel reads, so that the stream becomes full repeatedly.
    setImmediate(() => stream.consumed(bytes));
  }
  t.equal(slow.bytes, total);
  t.same(slow.closes, []);
});

t.test('at the memory cap dials fail, and above it the largest stream is reset', async (t) => {
  const memory = new MemoryBudget(128 * 1024);
  const started = await start(t, { memory });
  const small = new RecordingHandler(await dial(started, 1n), false);
  const large = new RecordingHandler(await dial(started, 2n), false);
  started.agent.send(data(1n, 'x'.repeat(30 * 1024)));
  started.agent.send(data(2n, 'x'.repeat(98 * 1024)));
  await large.until(() => large.bytes > 0);
  await t.rejects(dialTunnel(started.tunnel, target, never), { code: 'memory_limit' });
  started.agent.send(data(2n, 'x'));
  await large.until(() => large.closes.length > 0);
  t.match(large.closes, [{ code: 'memory_limit' }]);
  t.same(small.closes, []);
  t.equal(memory.bufferedBytes, 30 * 1024);
});

t.test('the end of the tunnel ends its dials and streams', async (t) => {
  const started = await start(t);
  const { tunnel, agent, closed } = started;
  const handler = new RecordingHandler(await dial(started));
  const dialing = dialTunnel(tunnel, target, never);
  await agent.take('DIAL_REQ');
  agent.end();
  await t.rejects(dialing, { code: 'tunnel_lost' });
  t.match(handler.closes, [{ code: 'tunnel_lost' }]);
  t.match(await closed, { code: 'tunnel_lost' });
  await tunnel.transportClosed;
  await t.rejects(dialTunnel(tunnel, target, never), { code: 'tunnel_lost' });
});

t.test('a tunnel without streams ends without an error from either side', async (t) => {
  const first = await start(t);
  first.agent.end();
  t.equal(await first.closed, undefined);
  const second = await start(t);
  second.tunnel.close();
  await second.agent.until(() => second.agent.closed !== undefined);
  t.same(second.agent.closed, { error: undefined });
});

t.test('handles DRAIN and DIAL_CLS of an agent', async (t) => {
  const { tunnel, agent, events } = await start(t);
  const dialing = dialTunnel(tunnel, target, never);
  const { random } = await agent.take('DIAL_REQ');
  agent.send({ type: 'DRAIN' });
  agent.send({ type: 'DIAL_CLS', random });
  await t.rejects(dialing, { code: 'dial_failed' });
  t.equal(tunnel.isDraining, true);
  t.same(events, ['draining']);
});

t.test('closes a tunnel whose agent uses one ID for two connections', async (t) => {
  const started = await start(t);
  await dial(started, 1n);
  await t.rejects(dial(started, 1n), { code: 'protocol_error' });
  t.match(await started.closed, { code: 'protocol_error' });
});

t.test('closes the tunnel of a silent agent', async (t) => {
  let probes = 0;
  const started = await start(t, {
    pingIntervalMs: 100,
    pingTimeoutMs: 100,
    probe: () => {
      probes += 1;
    },
  });
  t.match(await started.closed, { code: 'tunnel_silent' });
  t.ok(probes >= 2, 'one probe at the start and one after the silence');
});
