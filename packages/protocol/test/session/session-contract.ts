import { randomBytes, randomInt } from 'node:crypto';
import { type Session, TunnelError, type TunnelStream } from '@fairlead/protocol';
import type { Test } from 'tap';
import type { TransportPair } from '../transports/transport-pairs.ts';
import { RecordingStream, sendAll, takeAll } from './recording-handlers.ts';
import { connectedPair, type SessionPair } from './session-pair.ts';

const target = { host: 'node-1.example', port: 10_250 };

export interface OpenStream {
  /** The opener's stream and the acceptor's. */
  readonly near: TunnelStream;
  readonly far: TunnelStream;
  readonly onNear: RecordingStream;
  readonly onFar: RecordingStream;
}

/** Opens a stream from the server to the agent, or from the agent to the server, and accepts it. */
export async function openStream(
  pair: SessionPair,
  opener: 'server' | 'agent' = 'server',
): Promise<OpenStream> {
  const acceptor = opener === 'server' ? pair.onAgent : pair.onServer;
  const onNear = new RecordingStream();
  let onFar: RecordingStream | undefined;
  acceptor.offer = (stream) => {
    onFar = takeAll(stream, true);
    stream.accept();
  };
  const near = pair[opener].open(target, onNear);
  onNear.credits = near;
  await onNear.until(() => onNear.has('opened'));
  return { near, far: acceptor.offered.at(-1)!, onNear, onFar: onFar! };
}

/** Checks that `onClose` was called once, as the last call, with these codes at both ends of a stream. */
function closedWith(t: Test, stream: OpenStream, near?: string, far: string | undefined = near) {
  t.equal(stream.onNear.error?.code, near, 'the code at the opener');
  t.equal(stream.onFar.error?.code, far, 'the code at the acceptor');
  for (const { events } of [stream.onNear, stream.onFar]) {
    t.equal(
      events.indexOf('close'),
      events.length - 1,
      'onClose is the last call, and it is called once',
    );
  }
  t.ok(stream.near.isClosed && stream.far.isClosed);
}

async function bothClosed({ onNear, onFar }: OpenStream): Promise<void> {
  await onNear.until(() => onNear.isClosed);
  await onFar.until(() => onFar.isClosed);
}

/** The behavior of sessions on every transport. */
export function sessionContract(t: Test, transports: (t: Test) => Promise<TransportPair>): void {
  const connect = async (t: Test) => connectedPair(t, await transports(t));

  t.test('2.1 each side receives the HELLO of the other side', async (t) => {
    const { server, agent, onServer, onAgent } = await connect(t);
    t.strictSame(onServer.hellos, [{ versions: [1], agentId: 'agent-1' }]);
    t.strictSame(onAgent.hellos, [{ versions: [1], serverId: 'server-1', serverCount: 1 }]);
    t.strictSame(server.peerHello, onServer.hellos[0]);
    t.equal(agent.peerHello?.serverId, 'server-1');
  });

  t.test('2.6 the fields of a repeated HELLO replace earlier ones', async (t) => {
    const { server, onAgent } = await connect(t);
    server.updateHello({ serverCount: 3, peers: ['a:1', '[::1]:2'] });
    await onAgent.until(() => onAgent.hellos.length === 2);
    t.strictSame(onAgent.hellos[1], {
      versions: [1],
      serverId: 'server-1',
      serverCount: 3,
      peers: ['a:1', '[::1]:2'],
    });
  });

  for (const opener of ['server', 'agent'] as const) {
    t.test(`3.3 a stream that the ${opener} opens is accepted`, async (t) => {
      const pair = await connect(t);
      const stream = await openStream(pair, opener);
      t.strictSame(stream.far.target, target);
      t.equal(stream.near.id, opener === 'server' ? 2 : 1, '3.1');
      t.equal(stream.far.id, stream.near.id);
      stream.near.write(Buffer.from('ping'));
      await stream.onFar.until(() => stream.onFar.text === 'ping');
      stream.far.write(Buffer.from('pong'));
      await stream.onNear.until(() => stream.onNear.text === 'pong');
      stream.near.end();
      stream.far.end();
      await bothClosed(stream);
      closedWith(t, stream);
      t.equal(pair.server.streamCount, 0);
      t.equal(pair.agent.streamCount, 0);
    });

    t.test(`3.3 a stream that the ${opener} opens is refused with a reason`, async (t) => {
      const pair = await connect(t);
      const acceptor = opener === 'server' ? pair.onAgent : pair.onServer;
      acceptor.offer = (stream) => {
        takeAll(stream);
        stream.refuse(new TunnelError('target_refused', 'connect ECONNREFUSED ::1:443'));
      };
      const handler = new RecordingStream();
      const stream = pair[opener].open({ host: '::1', port: 443 }, handler);
      stream.write(Buffer.from('never sent'));
      await handler.until(() => handler.isClosed);
      t.equal(handler.error?.code, 'target_refused');
      t.equal(handler.error?.message, 'connect ECONNREFUSED ::1:443');
      t.strictSame(handler.events, ['close']);
      t.strictSame(acceptor.offered[0]?.target, { host: '::1', port: 443 });
      t.equal(pair.server.streamCount + pair.agent.streamCount, 0);
    });
  }

  t.test('bytes that are written before OPENED are sent after it', async (t) => {
    const { server, onAgent } = await connect(t);
    const onNear = new RecordingStream();
    const near = server.open(target, onNear);
    near.write(Buffer.from('early '));
    near.write(Buffer.from('bird'));
    near.end();
    await onAgent.until(() => onAgent.offered.length === 1);
    const far = onAgent.offered[0]!;
    const onFar = takeAll(far, true);
    t.strictSame(onFar.events, []);
    far.accept();
    await onFar.until(() => onFar.has('end'));
    t.equal(onFar.text, 'early bird');
    t.ok(onNear.has('opened'));
  });

  t.test('many bytes arrive in both directions at once', async (t) => {
    const pair = await connect(t);
    const { near, far, onNear, onFar } = await openStream(pair);
    const up = randomBytes(3_000_001);
    const down = randomBytes(4_000_003);
    await Promise.all([
      sendAll(near, onNear, up),
      sendAll(far, onFar, down, 200_000),
      onNear.until(() => onNear.isClosed),
      onFar.until(() => onFar.isClosed),
    ]);
    t.ok(onFar.got(up), 'the bytes that were sent');
    t.ok(onNear.got(down), 'the bytes that were sent');
    t.equal(near.pendingBytes + far.pendingBytes, 0);
    t.ok(pair.server.sentBytes >= up.length && pair.server.receivedBytes >= down.length);
  });

  for (const first of ['near', 'far'] as const) {
    t.test(`3.5 half-close: the ${first} side ends, and the other side continues`, async (t) => {
      const stream = await openStream(await connect(t));
      const [ending, continuing] = first === 'near' ? ['near', 'far'] : ['far', 'near'];
      const onEnding = first === 'near' ? stream.onNear : stream.onFar;
      const onContinuing = first === 'near' ? stream.onFar : stream.onNear;
      const ender = stream[ending as 'near' | 'far'];
      const continuer = stream[continuing as 'near' | 'far'];
      ender.write(Buffer.from('that is all'));
      ender.end();
      t.ok(ender.write(Buffer.from('too late')), 'writes after the end are dropped');
      await onContinuing.until(() => onContinuing.has('end'));
      t.equal(onContinuing.text, 'that is all');
      t.notOk(onEnding.isClosed || onContinuing.isClosed);
      const answer = randomBytes(1_000_000);
      await sendAll(continuer, onContinuing, answer);
      await bothClosed(stream);
      t.ok(onEnding.got(answer), 'the bytes that were sent');
      closedWith(t, stream);
    });

    t.test(`3.7 RESET by the ${first} side ends both directions with its code`, async (t) => {
      const pair = await connect(t);
      const stream = await openStream(pair);
      stream.near.write(Buffer.from('x'));
      await stream.onFar.until(() => stream.onFar.byteCount === 1);
      const code = first === 'near' ? 'client_reset' : 'target_reset';
      stream[first].reset(new TunnelError(code));
      stream[first].reset(new TunnelError('internal_error'));
      await bothClosed(stream);
      closedWith(t, stream, code);
      t.equal(pair.server.streamCount + pair.agent.streamCount, 0);
      await openStream(pair);
      t.pass('the session continues');
    });
  }

  t.test('3.7 RESET before OPENED cancels the dial, and the late OPENED is ignored', async (t) => {
    const pair = await connect(t);
    const onNear = new RecordingStream();
    const near = pair.server.open(target, onNear);
    await pair.onAgent.until(() => pair.onAgent.offered.length === 1);
    const far = pair.onAgent.offered[0]!;
    const onFar = takeAll(far);
    near.reset(new TunnelError('cancelled'));
    t.equal(onNear.error?.code, 'cancelled');
    // The agent has not received RESET yet, so its frames cross it (3.8).
    far.accept();
    far.write(Buffer.from('a banner'));
    await onFar.until(() => onFar.isClosed);
    t.equal(onFar.error?.code, 'cancelled');
    t.strictSame(onNear.events, ['close']);
    await openStream(pair);
    t.notOk(pair.onServer.isClosed || pair.onAgent.isClosed, 'the session continues');
  });

  t.test('1,000 streams of many sizes, opened by both sides, work at once', async (t) => {
    const pair = await connect(t);
    for (const acceptor of [pair.onServer, pair.onAgent]) {
      acceptor.offer = (stream) => echo(stream);
    }
    const all: Promise<boolean>[] = [];
    for (let index = 0; index < 1000; index++) {
      const session = index % 4 === 3 ? pair.agent : pair.server;
      all.push(
        echoes(session, randomBytes(index % 10 === 0 ? randomInt(60_000) : randomInt(9_000))),
      );
    }
    t.equal(pair.server.streamCount + pair.agent.streamCount, 1000);
    t.ok((await Promise.all(all)).every(Boolean), 'each stream received its own bytes');
    t.notOk(pair.onServer.isClosed || pair.onAgent.isClosed);
  });

  t.test('6.2 after a GOAWAY notice, open streams continue', async (t) => {
    const pair = await connect(t);
    const stream = await openStream(pair);
    pair.agent.drain(new TunnelError('shutting_down', 'a node upgrade'));
    pair.agent.drain(new TunnelError('cancelled'));
    await pair.onServer.until(() => pair.onServer.drainings.length > 0);
    t.equal(pair.onServer.drainings[0]?.code, 'shutting_down');
    t.equal(pair.onServer.drainings[0]?.message, 'a node upgrade');
    t.ok(pair.server.isDraining && pair.agent.isDraining);
    stream.near.write(Buffer.from('still open'));
    await stream.onFar.until(() => stream.onFar.text === 'still open');
    const late = await openStream(pair);
    t.notOk(late.far.isClosed, 'new streams are still accepted');
    t.equal(pair.onServer.drainings.length, 1);
  });

  for (const closer of ['server', 'agent'] as const) {
    t.test(`6.1 a final GOAWAY of the ${closer} ends all streams with its code`, async (t) => {
      const pair = await connect(t);
      const streams = [await openStream(pair), await openStream(pair, 'agent')];
      pair[closer].close(new TunnelError('superseded', 'a newer tunnel'));
      await Promise.all([
        pair.onServer.closed(),
        pair.onAgent.closed(),
        ...streams.map(bothClosed),
      ]);
      for (const stream of streams) closedWith(t, stream, 'superseded');
      for (const on of [pair.onServer, pair.onAgent]) {
        t.equal(on.closes.length, 1);
        t.equal(on.closes[0]?.code, 'superseded');
        t.equal(on.closes[0]?.message, 'a newer tunnel');
        t.equal(on.lateCalls, 0);
      }
      t.throws(() => pair.server.open(target, new RecordingStream()), { code: 'tunnel_lost' });
    });
  }

  t.test('6.1 an idle session closes without an error', async (t) => {
    const pair = await connect(t);
    pair.server.close();
    t.equal(await pair.onServer.closed(), undefined);
    t.equal(await pair.onAgent.closed(), undefined);
    t.ok(pair.server.isClosed && pair.agent.isClosed);
  });

  t.test('6.4 if the transport breaks, all streams end with tunnel_lost', async (t) => {
    const pair = await connect(t);
    const streams = [await openStream(pair), await openStream(pair, 'agent')];
    const onWaiting = new RecordingStream();
    pair.onAgent.offer = () => {};
    pair.server.open(target, onWaiting);
    pair.agent.transport.destroy();
    await Promise.all([pair.onServer.closed(), pair.onAgent.closed(), ...streams.map(bothClosed)]);
    for (const stream of streams) closedWith(t, stream, 'tunnel_lost');
    t.equal(onWaiting.error?.code, 'tunnel_lost');
    t.ok(onWaiting.error?.retryElsewhere);
    t.equal(pair.onServer.closes[0]?.code, 'tunnel_lost');
    t.equal(pair.onServer.closes.length + pair.onAgent.closes.length, 2);
    t.equal(pair.server.streamCount + pair.agent.streamCount, 0);
  });

  t.test('destroy() ends the streams of its side with its error at once', async (t) => {
    const pair = await connect(t);
    const stream = await openStream(pair);
    pair.server.destroy(new TunnelError('tunnel_silent'));
    t.equal(stream.onNear.error?.code, 'tunnel_silent');
    t.equal(pair.onServer.closes[0]?.code, 'tunnel_silent');
    await bothClosed(stream);
    closedWith(t, stream, 'tunnel_silent', 'tunnel_lost');
    t.equal(pair.onServer.closes.length, 1);
  });
}

/** Echoes all bytes with backpressure, then ends. */
function echo(stream: TunnelStream): void {
  stream.attach({
    onData(chunk) {
      stream.write(chunk);
      stream.consumed(chunk.length);
    },
    onEnd: () => stream.end(),
    onDrain() {},
    onClose() {},
  });
  stream.accept();
}

async function echoes(session: Session, payload: Buffer): Promise<boolean> {
  const handler = new RecordingStream(false);
  const stream = session.open(target, handler);
  handler.credits = stream;
  await sendAll(stream, handler, payload, 7_000);
  await handler.until(() => handler.isClosed);
  return handler.error === undefined && handler.got(payload);
}
