import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http2, { type Http2Stream } from 'node:http2';
import net from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import tls from 'node:tls';
import { DuplexTransport } from '@fairlead/protocol';
import t, { type Test } from 'tap';
import { RecordingSink } from './recording-sink.ts';
import { testServerCredentials } from './server-credentials.ts';
import { transportContract } from './transport-contract.ts';

type MakePair = (t: Test) => Promise<[Duplex, Duplex]>;

const tcpPair: MakePair = async (t) => {
  const server = net.createServer({ allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const accepted = once(server, 'connection');
  const near = net.connect({ host: '127.0.0.1', port });
  const [far] = (await accepted) as [net.Socket];
  t.teardown(() => {
    near.destroy();
    far.destroy();
    server.close();
  });
  return [near, far];
};

async function http2Streams(t: Test): Promise<[Http2Stream, Http2Stream]> {
  const server = http2.createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const accepted = once(server, 'stream');
  const session = http2.connect(`http://127.0.0.1:${port}`);
  session.on('error', () => {});
  const near = session.request({ ':method': 'POST', ':path': '/' }, { endStream: false });
  const [far] = (await accepted) as [http2.ServerHttp2Stream];
  far.respond({ ':status': 200 });
  await once(near, 'response');
  t.teardown(() => {
    session.destroy();
    server.close();
  });
  return [near, far];
}

const http2Pair: MakePair = http2Streams;
const http2PairFromServer: MakePair = async (t) => {
  const [near, far] = await http2Streams(t);
  return [far, near];
};
const memoryPair: MakePair = async () => duplexPair();
const tlsPair: MakePair = async (t) => {
  const credentials = await testServerCredentials();
  const [client, server] = await tcpPair(t);
  const far = new tls.TLSSocket(server as net.Socket, { isServer: true, ...credentials });
  const near = tls.connect({ socket: client as net.Socket, rejectUnauthorized: false });
  await once(near, 'secureConnect');
  return [near, far];
};

const pairs: Record<string, MakePair> = {
  TCP: tcpPair,
  TLS: tlsPair,
  'HTTP/2 client stream': http2Pair,
  'HTTP/2 server stream': http2PairFromServer,
  'memory pair': memoryPair,
};

for (const [name, makePair] of Object.entries(pairs)) {
  t.test(name, async (t) => {
    transportContract(t, async (t) => {
      const [near, far] = await makePair(t);
      return [new DuplexTransport(near, 'memory'), new DuplexTransport(far, 'memory')];
    });

    t.test('bytes that were buffered or unshifted before are delivered first', async (t) => {
      const [nearSocket, farSocket] = await makePair(t);
      farSocket.pause();
      const readable = once(farSocket, 'readable');
      farSocket.read(0);
      nearSocket.write('world');
      await readable;
      farSocket.unshift(Buffer.from('hello '));
      farSocket.removeAllListeners('readable');
      farSocket.pause();
      const far = new DuplexTransport(farSocket, 'memory');
      const sink = new RecordingSink();
      far.start(sink);
      await sink.bytes(11);
      t.equal(sink.text, 'hello world');
    });
  });
}

t.test('a TCP reset by the peer is an error', async (t) => {
  const [nearSocket, farSocket] = (await tcpPair(t)) as [net.Socket, net.Socket];
  const near = new DuplexTransport(nearSocket, 'tls');
  const sink = new RecordingSink();
  near.start(sink);
  farSocket.resetAndDestroy();
  const error = await sink.closed();
  t.match(error, { code: 'ECONNRESET' });
  t.equal(sink.closes.length, 1);
});

for (const [name, abort] of Object.entries({
  'reset with CANCEL': (stream: Http2Stream) => stream.close(http2.constants.NGHTTP2_CANCEL),
  'destroyed without an error': (stream: Http2Stream) => stream.destroy(),
  'whose session was destroyed': (stream: Http2Stream) => stream.session?.destroy(),
})) {
  t.test(`an HTTP/2 stream ${name} by the peer is an error`, async (t) => {
    const [nearSocket, farSocket] = await http2Streams(t);
    const near = new DuplexTransport(nearSocket, 'http2');
    const sink = new RecordingSink();
    near.start(sink);
    farSocket.on('error', () => {});
    abort(farSocket);
    t.match(await sink.closed(), { code: 'tunnel_lost' });
    t.equal(sink.closes.length, 1);
  });
}

t.test('received chunks are passed on without a copy', async (t) => {
  const [nearSocket, farSocket] = await tcpPair(t);
  const far = new DuplexTransport(farSocket, 'tls');
  const sink = new RecordingSink();
  far.start(sink);
  const seen: Buffer[] = [];
  farSocket.on('data', (chunk: Buffer) => seen.push(chunk));
  nearSocket.write(randomBytes(100_000));
  await sink.bytes(100_000);
  t.equal(sink.chunks.length, seen.length);
  t.ok(sink.chunks.every((chunk, index) => chunk === seen[index]));
});
