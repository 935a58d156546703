import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { duplexPair } from 'node:stream';
import { encodeFields, Http2Connection, type Http2Stream } from '@fairlead/http2';
import {
  type ClientStream,
  type ClientStreamHandler,
  joinStreams,
  MemoryBudget,
  type RelayedStream,
  type RelayOptions,
  type RelayResult,
  relay,
  resetSocket,
  type Session,
  type StreamHandler,
  TunnelError,
  type TunnelStream,
} from '@fairlead/protocol';
import { eventually } from '@fairlead/testkit/eventually';
import t, { type Test } from 'tap';
import { RecordingStream } from '../session/recording-handlers.ts';
import { connectedPair, memoryTransports, type SessionPair } from '../session/session-pair.ts';
import { tcpTransports } from '../transports/transport-pairs.ts';

interface SocketPair {
  /** The end that the test uses. */
  readonly outer: net.Socket;
  /** The end that is relayed. */
  readonly inner: net.Socket;
}

async function socketPair(t: Test): Promise<SocketPair> {
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[net.Socket]>;
  const { port } = server.address() as AddressInfo;
  const outer = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  const [inner] = await accepted;
  server.close();
  // A test that expects a reset waits for it. In other tests it may happen at the end.
  outer.on('error', () => {});
  t.teardown(() => {
    outer.destroy();
    inner.destroy();
  });
  return { outer, inner };
}

/** Waits for the first call of `onFinish` and counts all calls. */
class Finish {
  readonly results: RelayResult[] = [];
  readonly first: Promise<RelayResult>;
  #resolve: ((result: RelayResult) => void) | undefined;

  constructor() {
    this.first = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  readonly onFinish = (result: RelayResult): void => {
    this.results.push(result);
    this.#resolve?.(result);
  };
}

interface Chain {
  readonly pair: SessionPair;
  readonly client: Duplex;
  /** Bytes that the server buffers for the client. */
  readonly bufferedBytes: () => number;
  readonly target: net.Socket;
  readonly targetInner: net.Socket;
  readonly near: TunnelStream;
  readonly far: TunnelStream;
  readonly onServer: Finish;
  readonly onAgent: Finish;
}

/** client = relay = server === tunnel === agent = relay = target. @param join relays the client's end */
async function chain(
  t: Test,
  client: Duplex,
  join: (near: TunnelStream, options: RelayOptions) => void,
  bufferedBytes: () => number,
): Promise<Chain> {
  const pair = await connectedPair(t, await tcpTransports(t));
  const { outer: target, inner: targetInner } = await socketPair(t);
  const [onServer, onAgent] = [new Finish(), new Finish()];
  let far: TunnelStream | undefined;
  pair.onAgent.offer = (stream) => {
    far = stream;
    stream.accept();
    relay(targetInner, stream, { resetCode: 'target_reset', onFinish: onAgent.onFinish });
  };
  const near = await opened(pair.server);
  join(near, { resetCode: 'client_reset', onFinish: onServer.onFinish });
  return { pair, client, bufferedBytes, target, targetInner, near, far: far!, onServer, onAgent };
}

async function tcpChain(t: Test): Promise<Chain & { readonly clientInner: net.Socket }> {
  const { outer, inner } = await socketPair(t);
  const join = (near: TunnelStream, options: RelayOptions) => relay(inner, near, options);
  return { ...(await chain(t, outer, join, () => inner.writableLength)), clientInner: inner };
}

/** A chain whose client uses HTTP/2 CONNECT. */
async function http2Chain(t: Test): Promise<Chain> {
  let onStream = (_stream: Http2Stream) => {};
  const offered = new Promise<Http2Stream>((resolve) => {
    onStream = resolve;
  });
  const options = { headTimeoutMs: 60_000, maxHeadBytes: 16_384, memory: new MemoryBudget() };
  const handler = { onRequest: (stream: Http2Stream) => onStream(stream), onSilent() {} };
  const server = net.createServer((socket) => {
    new Http2Connection(socket, options, handler).start();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = http2.connect(`http://127.0.0.1:${port}`, { maxSessionMemory: 1_000 });
  t.teardown(() => {
    client.destroy();
    server.close();
  });
  const request = client.request({ ':method': 'CONNECT', ':authority': 'a:80' });
  const stream = await offered;
  stream.respond(encodeFields({ ':status': '200' }));
  await once(request, 'response');
  const clientStream: ClientStream = {
    attach: (joined) => stream.attach(joined),
    write: (chunk) => stream.write(chunk),
    end: () => stream.end(),
    reset: () => stream.reset(http2.constants.NGHTTP2_CONNECT_ERROR),
    consumed: (bytes) => stream.consumed(bytes),
  };
  const join = (near: TunnelStream, relayOptions: RelayOptions) =>
    joinStreams(clientStream, near, relayOptions);
  return chain(t, request, join, () => stream.pendingBytes);
}

async function opened(session: Session): Promise<TunnelStream> {
  const handler = new RecordingStream();
  const stream = session.open({ host: 'a', port: 80 }, handler);
  await handler.until(() => handler.has('opened'));
  return stream;
}

async function readAll(socket: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(socket, 'end');
  return Buffer.concat(chunks);
}

/** Reads to the end. @returns the number of bytes, or NaN if they differ from repeated blocks */
async function countIntact(socket: Duplex, block: Buffer): Promise<number> {
  let intactBytes = 0;
  let isIntact = true;
  socket.on('data', (chunk: Buffer) => {
    for (let at = 0; at < chunk.length && isIntact; ) {
      const start = intactBytes % block.length;
      const expected = block.subarray(start, start + chunk.length - at);
      isIntact = chunk.subarray(at, at + expected.length).equals(expected);
      if (isIntact) intactBytes += expected.length;
      at += expected.length;
    }
  });
  await once(socket, 'end');
  return isIntact ? intactBytes : Number.NaN;
}

async function send(socket: Duplex, block: Buffer, times: number): Promise<void> {
  for (let count = 0; count < times; count++) {
    if (!socket.write(block)) await once(socket, 'drain');
  }
  socket.end();
}

for (const [leg, connect] of [
  ['TCP', tcpChain],
  ['HTTP/2', http2Chain],
] as const) {
  t.test(`${leg}: carries 64 MiB in both directions at once`, async (t) => {
    const { client, target, onServer, onAgent } = await connect(t);
    const block = randomBytes(1_048_576);
    const [up, down] = await Promise.all([
      countIntact(target, block),
      countIntact(client, block.subarray(1)),
      send(client, block, 64),
      send(target, block.subarray(1), 64),
    ]);
    t.equal(up, 64 * 1_048_576);
    t.equal(down, 64 * 1_048_575);
    t.strictSame(await onServer.first, {
      bytesFromSocket: 64 * 1_048_576,
      bytesToSocket: 64 * 1_048_575,
      error: undefined,
    });
    t.strictSame(await onAgent.first, {
      bytesFromSocket: 64 * 1_048_575,
      bytesToSocket: 64 * 1_048_576,
      error: undefined,
    });
    t.equal(onServer.results.length + onAgent.results.length, 2);
  });

  t.test(`${leg}: the target can answer after the client's half-close`, async (t) => {
    const { client, target, onServer } = await connect(t);
    client.end('a question');
    t.equal((await readAll(target)).toString(), 'a question');
    const answer = randomBytes(1_000_000);
    target.end(answer);
    t.ok((await readAll(client)).equals(answer));
    t.equal((await onServer.first).error, undefined);
  });

  t.test(`${leg}: the client can send after the target's half-close`, async (t) => {
    const { client, target, onAgent } = await connect(t);
    target.end('a banner');
    t.equal((await readAll(client)).toString(), 'a banner');
    const question = randomBytes(1_000_000);
    client.end(question);
    t.ok((await readAll(target)).equals(question));
    t.equal((await onAgent.first).error, undefined);
  });

  t.test(`${leg}: a reset by the target is an error for the client`, async (t) => {
    const { client, target, onServer, onAgent } = await connect(t);
    let ended = false;
    client.on('end', () => {
      ended = true;
    });
    const failure = once(client, 'error') as Promise<[NodeJS.ErrnoException]>;
    client.resume();
    target.resetAndDestroy();
    const [error] = await failure;
    if (leg === 'TCP') {
      t.equal(error.code, 'ECONNRESET');
      t.notOk(ended, 'no end was reported');
    } else {
      t.match(error.message, /NGHTTP2_CONNECT_ERROR/, 'RFC 9113 section 8.5');
    }
    t.equal((await onServer.first).error?.code, 'target_reset');
    t.equal((await onAgent.first).error?.code, 'target_reset');
    t.equal(onServer.results.length + onAgent.results.length, 2);
  });

  t.test(`${leg}: a stalled client stops the target, and receives all bytes later`, async (t) => {
    const { client, target, targetInner, bufferedBytes, near, far, onServer } = await connect(t);
    client.pause();
    target.resume();
    const block = randomBytes(1_048_576);
    const sent = send(target, block, 48);
    // The target is stopped when the agent is paused and its count of read bytes does not change.
    let before = -1;
    await eventually('the target is stopped', async () => {
      for (let tick = 0; tick < 50; tick++) await new Promise(setImmediate);
      const isStopped = targetInner.bytesRead === before && targetInner.isPaused();
      before = targetInner.bytesRead;
      return isStopped;
    });
    t.ok(target.writableLength > 0, 'the target waits');
    t.ok(far.pendingBytes <= 131_072 + 65_536, `the agent buffers ${far.pendingBytes}`);
    t.ok(bufferedBytes() <= 16 * 1_048_576, 'the server buffers at most a window');
    t.equal(near.isClosed, false);
    const received = countIntact(client, block);
    client.resume();
    await sent;
    t.equal(await received, 48 * 1_048_576);
    client.end();
    t.equal((await onServer.first).bytesToSocket, 48 * 1_048_576);
  });
}

t.test('a reset by the client resets the connection to the target', async (t) => {
  const { client, target, onServer, onAgent } = await tcpChain(t);
  const failure = once(target, 'error') as Promise<[NodeJS.ErrnoException]>;
  target.resume();
  (client as net.Socket).resetAndDestroy();
  t.equal((await failure)[0].code, 'ECONNRESET');
  t.equal((await onServer.first).error?.code, 'client_reset');
  t.equal((await onAgent.first).error?.code, 'client_reset');
});

t.test('an HTTP/2 client that cancels its stream resets the target', async (t) => {
  for (const code of [http2.constants.NGHTTP2_CANCEL, http2.constants.NGHTTP2_NO_ERROR]) {
    const { client, target, onServer, onAgent } = await http2Chain(t);
    const failure = once(target, 'error') as Promise<[NodeJS.ErrnoException]>;
    target.resume();
    (client as http2.ClientHttp2Stream).close(code);
    t.equal((await failure)[0].code, 'ECONNRESET', `code ${code}`);
    t.equal((await onServer.first).error?.code, 'client_reset');
    t.equal((await onAgent.first).error?.code, 'client_reset');
    t.equal(onServer.results.length + onAgent.results.length, 2);
  }
});

t.test('a lost tunnel resets both sockets', async (t) => {
  const { pair, client, target, onServer, onAgent } = await tcpChain(t);
  const failures = Promise.all([once(client, 'error'), once(target, 'error')]);
  client.resume();
  target.resume();
  pair.agent.transport.destroy();
  for (const [error] of await failures) t.equal(error.code, 'ECONNRESET');
  t.equal((await onServer.first).error?.code, 'tunnel_lost');
  t.equal((await onAgent.first).error?.code, 'tunnel_lost');
});

t.test('a socket that is destroyed without an error counts as reset', async (t) => {
  const { clientInner, onServer, onAgent } = await tcpChain(t);
  clientInner.destroy();
  t.equal((await onServer.first).error?.code, 'client_reset');
  t.equal((await onAgent.first).error?.code, 'client_reset');
  // Both ends of all sockets have closed, so no more calls follow.
  await new Promise(setImmediate);
  t.equal(onServer.results.length, 1);
  t.equal(onAgent.results.length, 1);
});

t.test('chunks are released after they were sent to the socket or the tunnel', async (t) => {
  const { client, clientInner, target, targetInner } = await tcpChain(t);
  const received: Buffer[] = [];
  const sent: Buffer[] = [];
  clientInner.prependListener('data', (chunk: Buffer) => received.push(chunk));
  const write = targetInner.write.bind(targetInner);
  targetInner.write = ((chunk: Buffer, done: () => void) => {
    sent.push(chunk);
    return write(chunk, done);
  }) as typeof targetInner.write;
  const content = randomBytes(4 * 1_048_576);
  const arrived = readAll(target);
  client.end(content);
  t.ok((await arrived).equals(content), 'all bytes arrived');
  const kept = (chunks: Buffer[]) => chunks.filter(({ length }) => length > 0);
  if ('transfer' in ArrayBuffer.prototype) {
    t.ok(received.length > 30 && kept(received).length < received.length / 4, 'by the sender');
    t.ok(sent.length > 30 && kept(sent).length < sent.length / 4, 'by the receiver');
  } else {
    t.equal(kept(received).length, received.length, 'Node 20 cannot release memory');
  }
});

t.test('bytes that were unshifted are sent first, after those that were read', async (t) => {
  const { outer, inner } = await socketPair(t);
  inner.unshift(Buffer.from('head '));
  const first = Buffer.from('first ');
  const join = (near: TunnelStream, options: RelayOptions) =>
    relay(inner, near, { ...options, first });
  const { client, target } = await chain(t, outer, join, () => inner.writableLength);
  client.end('body');
  t.equal((await readAll(target)).toString(), 'first head body');
});

t.test('a socket is not read while the bytes that were already read find no room', async (t) => {
  const { inner } = await socketPair(t);
  let handler: StreamHandler | undefined;
  const stream = {
    attach(attached: StreamHandler) {
      handler = attached;
    },
    write: () => false,
    reset() {},
  } as unknown as RelayedStream;
  relay(inner, stream, { resetCode: 'client_reset', first: Buffer.from('first') });
  t.equal(inner.isPaused(), true);
  handler!.onDrain();
  t.equal(inner.isPaused(), false);
});

t.test('a client that closes in order while it has no room ends the stream', async (t) => {
  let handler: ClientStreamHandler | undefined;
  const client: ClientStream = {
    attach(attached) {
      handler = attached;
    },
    write: () => false,
    end: () => handler!.onClose(),
    reset: () => t.fail('the stream was reset'),
    consumed() {},
  };
  const join = (near: TunnelStream, options: RelayOptions) => joinStreams(client, near, options);
  const { outer } = await socketPair(t);
  const { target, near, onServer } = await chain(t, outer, join, () => 0);
  handler!.onEnd();
  target.end('the last bytes');
  const result = await onServer.first;
  t.match(result, { bytesFromSocket: 0, bytesToSocket: 14, error: undefined });
  t.ok(near.isClosed);
});

t.test('a client that closed before relay() resets the stream', async (t) => {
  for (const isClosed of [false, true]) {
    const { outer, inner } = await socketPair(t);
    const pair = await connectedPair(t);
    const onFar = new RecordingStream();
    pair.onAgent.offer = (stream) => {
      stream.attach(onFar);
      stream.accept();
    };
    const near = await opened(pair.server);
    outer.resume();
    // Destroyed in this tick with an error that no listener has received, or closed already.
    if (isClosed) inner.once('error', () => {});
    inner.destroy(new Error('gone'));
    if (isClosed) await new Promise((resolve) => inner.once('close', resolve));
    const finish = new Finish();
    relay(inner, near, { resetCode: 'client_reset', onFinish: finish.onFinish });
    t.equal((await finish.first).error?.code, 'client_reset');
    await onFar.until(() => onFar.isClosed);
    t.equal(onFar.error?.code, 'client_reset');
    await new Promise(setImmediate);
    t.equal(finish.results.length, 1);
  }
});

t.test('a stream that was reset before relay() resets the socket', async (t) => {
  const { outer, inner } = await socketPair(t);
  const pair = await connectedPair(t);
  pair.onAgent.offer = (stream) => stream.accept();
  const near = await opened(pair.server);
  near.reset(new TunnelError('cancelled'));
  const failure = once(outer, 'error') as Promise<[NodeJS.ErrnoException]>;
  outer.resume();
  const finish = new Finish();
  relay(inner, near, { resetCode: 'client_reset', onFinish: finish.onFinish });
  t.equal((await failure)[0].code, 'ECONNRESET');
  t.ok((await finish.first).error);
  t.equal(finish.results.length, 1);
});

t.test('credit is granted for bytes that the socket has sent', async (t) => {
  const pair = await connectedPair(t, memoryTransports());
  const [outer, inner] = duplexPair({ highWaterMark: 16_384 });
  let far: TunnelStream | undefined;
  pair.onAgent.offer = (stream) => {
    far = stream;
    stream.accept();
  };
  const near = await opened(pair.server);
  relay(inner, near, { resetCode: 'client_reset' });
  const onFar = new RecordingStream();
  far!.attach(onFar);
  let written = 0;
  while (far!.write(Buffer.alloc(8_192))) written += 8_192;
  await eventually(
    'a window of bytes has arrived',
    () => inner.writableLength + outer.readableLength >= 65_536,
  );
  // The window is used up, and all its bytes wait for the stalled reader.
  for (let tick = 0; tick < 20; tick++) await new Promise(setImmediate);
  t.equal(written + 8_192 - far!.pendingBytes, 65_536);
  outer.resume();
  await onFar.until(() => onFar.has('drain'));
  t.ok(far!.pendingBytes < 65_536);
});

t.test('the bytes of tiny frames are merged into few writes', async (t) => {
  const pair = await connectedPair(t, memoryTransports());
  const [outer, inner] = duplexPair({ highWaterMark: 16 });
  let far: TunnelStream | undefined;
  pair.onAgent.offer = (stream) => {
    far = stream;
    stream.accept();
  };
  const near = await opened(pair.server);
  let writes = 0;
  const write = inner._write.bind(inner);
  inner._write = (...args) => {
    writes++;
    write(...args);
  };
  const finish = new Finish();
  relay(inner, near, { resetCode: 'client_reset', onFinish: finish.onFinish });
  far!.attach(new RecordingStream());
  const sent = Buffer.from(Array.from({ length: 20_000 }, (_, index) => index % 251));
  for (let at = 0; at < sent.length; at++) {
    far!.write(sent.subarray(at, at + 1));
    // In several ticks, because the sender merges the chunks of one tick.
    if (at % 8 === 0) await new Promise(setImmediate);
  }
  far!.end();
  outer.end();
  t.ok((await readAll(outer)).equals(sent), 'all bytes arrived in order');
  t.ok(writes < 400, `${writes} writes`);
  const result = await finish.first;
  t.equal(result.bytesToSocket, sent.length);
  t.equal(result.error, undefined);
});

t.test('an end and a reset in one tick close the socket', async (t) => {
  const { inner } = await socketPair(t);
  const finish = new Finish();
  let handler: StreamHandler | undefined;
  const stream = {
    attach(attached: StreamHandler) {
      handler = attached;
    },
    end() {},
  };
  const { onFinish } = finish;
  relay(inner, stream as unknown as TunnelStream, { resetCode: 'target_reset', onFinish });
  handler?.onEnd();
  handler?.onClose(new TunnelError('cancelled'));
  t.equal((await finish.first).error?.code, 'cancelled');
});

t.test('resetSocket() resets a socket', async (t) => {
  const closed = (socket: net.Socket) =>
    new Promise<void>((resolve) => socket.once('close', () => resolve()));

  await t.test('while it is open', async (t) => {
    const { outer, inner } = await socketPair(t);
    const failure = once(outer, 'error') as Promise<[NodeJS.ErrnoException]>;
    outer.resume();
    resetSocket(inner);
    await closed(inner);
    t.equal((await failure)[0].code, 'ECONNRESET');
  });
  await t.test('while its end is in flight', async (t) => {
    const { outer, inner } = await socketPair(t);
    const errors: Error[] = [];
    inner.on('error', (error) => errors.push(error));
    outer.resume();
    inner.end();
    resetSocket(inner);
    resetSocket(inner);
    await closed(inner);
    t.strictSame(errors, []);
  });
  await t.test('while bytes wait for its peer', async (t) => {
    const { outer, inner } = await socketPair(t);
    outer.pause();
    const bothClosed = Promise.all([closed(inner), closed(outer)]);
    inner.write(Buffer.alloc(64 * 1_048_576));
    inner.end();
    resetSocket(inner);
    outer.resume();
    await bothClosed;
    t.ok(outer.bytesRead < 64 * 1_048_576);
  });
});
