import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { WebSocketTransport, webSocketOptions, zeroMask } from '@fairlead/protocol';
import { eventually } from '@fairlead/testkit/eventually';
import t, { type Test } from 'tap';
import { WebSocket, WebSocketServer } from 'ws';
import { RecordingSink, send } from './recording-sink.ts';
import { testServerCredentials } from './server-credentials.ts';
import { transportContract } from './transport-contract.ts';

interface Side {
  readonly webSocket: WebSocket;
  readonly socket: Duplex;
  readonly transport: WebSocketTransport;
}

interface Pair {
  readonly client: Side;
  readonly server: Side;
}

async function connectPair(t: Test, onServerSocket?: (socket: Duplex) => void): Promise<Pair> {
  const { ca, cert, key } = await testServerCredentials();
  const httpServer = https.createServer({ cert, key });
  const wsServer = new WebSocketServer({ noServer: true, ...webSocketOptions });
  const server = new Promise<Side>((resolve) => {
    httpServer.on('upgrade', (request, socket, head) => {
      wsServer.handleUpgrade(request, socket, head, (webSocket) => {
        onServerSocket?.(socket);
        const transport = new WebSocketTransport(webSocket, socket, 'server');
        resolve({ webSocket, socket, transport });
      });
    });
  });
  httpServer.listen(0, '127.0.0.1');
  await once(httpServer, 'listening');
  const { port } = httpServer.address() as AddressInfo;
  const webSocket = new WebSocket(`wss://127.0.0.1:${port}/`, {
    ca,
    generateMask: zeroMask,
    ...webSocketOptions,
  });
  const client = new Promise<Side>((resolve) => {
    webSocket.on('upgrade', ({ socket }) => {
      webSocket.on('open', () => {
        const transport = new WebSocketTransport(webSocket, socket, 'client');
        resolve({ webSocket, socket, transport });
      });
    });
  });
  t.teardown(() => {
    webSocket.terminate();
    httpServer.closeAllConnections();
    httpServer.close();
  });
  return { client: await client, server: await server };
}

t.test('from client to server', async (t) => {
  transportContract(t, async (t) => {
    const { client, server } = await connectPair(t);
    return [client.transport, server.transport];
  });
});

t.test('from server to client', async (t) => {
  transportContract(t, async (t) => {
    const { client, server } = await connectPair(t);
    return [server.transport, client.transport];
  });
});

for (const [sender, receiver] of [
  ['client', 'server'],
  ['server', 'client'],
] as const) {
  t.test(`payload from the ${sender} arrives as slices of the socket's reads`, async (t) => {
    const pair = await connectPair(t);
    const socketBuffers = new Set<ArrayBufferLike>();
    // This listener must run before that of ws, which splits the chunk.
    (pair[receiver].socket as TLSSocket).prependListener('data', (chunk: Buffer) => {
      socketBuffers.add(chunk.buffer);
    });
    const sink = new RecordingSink();
    pair[receiver].transport.start(sink);
    pair[sender].transport.start(new RecordingSink());
    const sent: Buffer[] = [];
    let sentBytes = 0;
    let seed = 7;
    for (let round = 0; round < 300; round++) {
      const buffers: Buffer[] = [];
      for (let index = 0; index < 4; index++) {
        seed = (seed * 1103515245 + 12345) % 2147483648;
        // Payloads after 8-byte headers, with record remainders of every size.
        buffers.push(randomBytes(8), randomBytes(1 + (seed % (index === 0 ? 200 : 40_000))));
      }
      sent.push(...buffers);
      for (const buffer of buffers) sentBytes += buffer.length;
      send(pair[sender].transport, ...buffers);
      // A write after unsent bytes shares records with them.
      await sink.bytes(sentBytes);
    }
    t.ok(Buffer.concat(sink.chunks).equals(Buffer.concat(sent)));
    const copied = sink.chunks.filter((chunk) => !socketBuffers.has(chunk.buffer));
    t.equal(copied.length, 0, `none of ${sink.chunks.length} chunks was copied`);
  });
}

t.test('fragmented and empty messages of another implementation are accepted', async (t) => {
  const { client, server } = await connectPair(t);
  const sink = new RecordingSink();
  server.transport.start(sink);
  client.webSocket.send(Buffer.from('one '), { binary: true, fin: false });
  client.webSocket.send(Buffer.from('two '), { binary: true, fin: false });
  client.webSocket.send(Buffer.from('three'), { binary: true, fin: true });
  client.webSocket.send(Buffer.alloc(0));
  client.webSocket.send(Buffer.from('!'));
  await sink.bytes(14);
  t.equal(sink.text, 'one two three!');
  t.equal(sink.chunks.length, 4, 'the empty message is not delivered');
});

t.test('if a peer does not read answers, only its latest ping is answered', async (t) => {
  const { client, server } = await connectPair(t);
  client.transport.start(new RecordingSink());
  server.transport.start(new RecordingSink());
  // Simulates a full kernel buffer.
  const { socket } = server;
  const write = socket._write;
  const writev = socket._writev!;
  let proceed = () => {};
  socket._write = (...args) => {
    proceed = () => write.apply(socket, args);
  };
  socket._writev = (...args) => {
    proceed = () => writev.apply(socket, args);
  };
  let waiting = 0;
  let read = 0;
  server.webSocket.on('ping', () => {
    read++;
    waiting = Math.max(waiting, socket.writableLength);
  });
  const last = 5_000;
  const answered = new Promise<void>((resolve) => {
    client.webSocket.on('pong', (data) => {
      if (Number(data.toString()) === last) resolve();
    });
  });
  for (let sent = 1; sent <= last; sent++) client.webSocket.ping(String(sent).padEnd(120));
  await eventually('the server has read all pings', () => read === last);
  t.ok(waiting > 0, 'an answer waits');
  t.ok(waiting < 128 * 1024, `${waiting} bytes of answers wait`);
  socket._write = write;
  socket._writev = writev;
  proceed();
  await answered;
});

t.test('pings are answered and not delivered', async (t) => {
  const { client, server } = await connectPair(t);
  const sink = new RecordingSink();
  client.transport.start(new RecordingSink());
  server.transport.start(sink);
  const pong = once(client.webSocket, 'pong');
  client.webSocket.ping('are you there');
  t.equal(String((await pong)[0]), 'are you there');
  t.equal(sink.byteCount, 0);
});

t.test('a text message ends the transport', async (t) => {
  const { client, server } = await connectPair(t);
  const sink = new RecordingSink();
  server.transport.start(sink);
  client.webSocket.send('hello');
  t.match(await sink.closed(), { code: 'protocol_error', message: /text message/ });
  t.equal(sink.byteCount, 0);
});

t.test('a message above the limit ends the transport', async (t) => {
  const { client, server } = await connectPair(t);
  const sink = new RecordingSink();
  server.transport.start(sink);
  client.webSocket.send(Buffer.alloc(webSocketOptions.maxPayload + 1));
  t.match(await sink.closed(), { code: 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH' });
});

for (const [code, clean] of [
  [1000, true],
  [1001, true],
  [1008, false],
  [1011, false],
] as const) {
  t.test(`close code ${code} is ${clean ? 'an orderly end' : 'an error'}`, async (t) => {
    const { client, server } = await connectPair(t);
    const sink = new RecordingSink();
    server.transport.start(sink);
    client.webSocket.resume();
    client.webSocket.close(code, 'because\nof this');
    const error = await sink.closed();
    if (clean) t.equal(error, undefined);
    else {
      t.match(error, {
        code: 'tunnel_lost',
        message: `the WebSocket closed with ${code} (because of this)`,
      });
    }
    t.equal(sink.closes.length, 1);
  });
}

t.test('a connection that breaks without a close frame is an error', async (t) => {
  const { client, server } = await connectPair(t);
  const sink = new RecordingSink();
  server.transport.start(sink);
  client.socket.destroy();
  t.match(await sink.closed(), { code: 'tunnel_lost', message: 'the WebSocket closed with 1006' });
});

t.test('the messages of one write are sent as one vectored write', async (t) => {
  const { client } = await connectPair(t);
  let writes = 0;
  const writev = client.socket._writev!.bind(client.socket);
  client.socket._writev = (chunks, callback) => {
    writes++;
    writev(chunks, callback);
  };
  send(client.transport, Buffer.alloc(60_000));
  t.equal(writes, 1);
});
