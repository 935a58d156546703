import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import {
  connectHead,
  connectThrough,
  countBytes,
  exchangeRaw,
  type FrontEndAddress,
  Http2ConnectClient,
  makeTemporaryDirectory,
  readText,
  seededReadable,
  seededSha256,
  sharedTestPki,
} from '@fairlead/testkit';
import t, { type Test } from 'tap';

/** Starts a server on a Unix domain socket or TCP, and closes its connections after the test. */
async function listen(test: Test, server: Server, kind: 'uds' | 'tcp'): Promise<FrontEndAddress> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  const directory = await makeTemporaryDirectory();
  const path = join(directory.path, 'front-end');
  server.listen(kind === 'uds' ? { path } : { host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  test.teardown(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await directory.close();
  });
  if (kind === 'uds') return { path };
  return { host: '127.0.0.1', port: (server.address() as { port: number }).port };
}

/** Starts a front end that answers every connection with these bytes and records what it receives. */
async function scripted(test: Test, answer: string, then: 'keep' | 'end' | 'reset' = 'keep') {
  const received: string[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('data', (chunk) => {
      received.push(chunk.toString('latin1'));
      if (received.length > 1) return;
      if (then === 'reset') socket.resetAndDestroy();
      else socket.write(answer);
      if (then === 'end') socket.end();
    });
    socket.on('end', () => socket.end());
  });
  // Only TCP has resets.
  return { via: await listen(test, server, then === 'reset' ? 'tcp' : 'uds'), received };
}

/** Makes a server of node:http a CONNECT front end that echoes, and answers `refuse.test` with 502. */
function attachEcho(server: ReturnType<typeof createHttpServer>): void {
  server.on('connect', (request, socket, head) => {
    if (request.url?.startsWith('refuse.test')) {
      socket.end('HTTP/1.1 502 Bad Gateway\r\nFairlead-Error: dial_failed\r\n\r\ndial failed\n');
      return;
    }
    socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
    socket.write(head);
    socket.pipe(socket);
  });
}

t.test('CONNECT over a Unix domain socket sends the payload with the head', async (t) => {
  const http = createHttpServer();
  attachEcho(http);
  const via = await listen(t, http, 'uds');
  const reply = await connectThrough({ via, target: 'a.test:1', payload: 'early ' });
  t.equal(reply.status, 200);
  t.equal(reply.reason, 'Connection established');
  t.same(reply.headers, {});
  reply.socket.end('late');
  t.equal(await readText(reply.socket), 'early late');
});

t.test('CONNECT over TLS with a client certificate', async (t) => {
  const { frontend, foreign } = await sharedTestPki();
  const http = createHttpServer();
  attachEcho(http);
  const { ca, server, client } = frontend;
  const secure = createTlsServer(
    {
      ...{ ca, cert: server.cert, key: server.key },
      ...{ requestCert: true, rejectUnauthorized: true, allowHalfOpen: true },
      ALPNProtocols: ['h2', 'http/1.1'],
    },
    (socket) => http.emit('connection', socket),
  );
  const tcp = await listen(t, secure, 'tcp');
  const reply = await connectThrough({
    via: { ...tcp, tls: { ...client, ca } },
    target: 'a.test:1',
  });
  t.equal(reply.status, 200);
  seededReadable('tls', 300_000).pipe(reply.socket);
  t.equal((await countBytes(reply.socket)).sha256, seededSha256('tls', 300_000));
  await t.rejects(connectThrough({ via: { ...tcp, tls: { ca } }, target: 'a.test:1' }));
  await t.rejects(
    connectThrough({ via: { ...tcp, tls: { ...client, ca: foreign.ca } }, target: 'a.test:1' }),
    'the server is verified',
  );
});

t.test('sends the head and the payload in one write', async (t) => {
  const { via, received } = await scripted(t, 'HTTP/1.1 200 OK\r\n\r\n');
  const reply = await connectThrough({
    via,
    target: '[::1]:443',
    headers: { host: '127.0.0.1', 'x-y': 'z' },
    payload: Buffer.from([1, 2]),
    end: true,
  });
  await once(reply.socket.resume(), 'close');
  t.equal(
    received.join(''),
    'CONNECT [::1]:443 HTTP/1.1\r\nhost: 127.0.0.1\r\nx-y: z\r\n\r\n\u0001\u0002',
  );
  t.equal(received.length, 1, 'one chunk');
  t.match(connectHead('a:1'), /\r\nHost: a:1\r\n/, 'the default Host header');
});

t.test('bytes that arrive with the head are counted and delivered', async (t) => {
  const { via } = await scripted(t, 'HTTP/1.1 200 OK\r\nA: 1\r\nA: 2\r\n\r\nearly', 'end');
  const reply = await connectThrough({ via, target: 'a:1' });
  t.equal(reply.earlyBytes, 5);
  t.same(reply.headers, { a: '1, 2' });
  t.equal(await readText(reply.socket), 'early');
});

t.test('a refusal with Content-Length is complete before the end', async (t) => {
  const { via } = await scripted(t, 'HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nwhy\n');
  const reply = await connectThrough({ via, target: 'a:1' });
  t.teardown(() => reply.socket.destroy());
  t.match(reply, { status: 503, reason: 'No', body: 'why\n' });
});

t.test('a refusal without Content-Length ends with the connection', async (t) => {
  const http = createHttpServer();
  attachEcho(http);
  const via = await listen(t, http, 'uds');
  const reply = await connectThrough({ via, target: 'refuse.test:1' });
  t.match(reply, {
    status: 502,
    headers: { 'fairlead-error': 'dial_failed' },
    body: 'dial failed\n',
  });
});

t.test('an incomplete or invalid answer and a reset are errors', async (t) => {
  const half = await scripted(t, 'HTTP/1.1 200 OK\r\nA', 'end');
  await t.rejects(
    connectThrough({ via: half.via, target: 'a:1' }),
    /before the answer was complete/,
  );
  const none = await scripted(t, '', 'end');
  await t.rejects(
    connectThrough({ via: none.via, target: 'a:1' }),
    /before the answer was complete/,
  );
  const reset = await scripted(t, '', 'reset');
  await t.rejects(connectThrough({ via: reset.via, target: 'a:1' }), { code: 'ECONNRESET' });
  const nonsense = await scripted(t, '220 smtp.example\r\n\r\n');
  await t.rejects(connectThrough({ via: nonsense.via, target: 'a:1' }), /status line/);
  await t.rejects(connectThrough({ via: { path: '/nonexistent' }, target: 'a:1' }), {
    code: 'ENOENT',
  });
});

t.test('exchangeRaw() returns the answer and how the connection ended', async (t) => {
  const { via, received } = await scripted(t, 'HTTP/1.1 400 Bad\r\n\r\n', 'end');
  t.same(await exchangeRaw(via, 'garbage\r\n'), {
    text: 'HTTP/1.1 400 Bad\r\n\r\n',
    closedBy: 'end',
  });
  t.same(received, ['garbage\r\n']);
});

/** An HTTP/2 CONNECT front end that echoes, refuses `refuse.test` with 502 and resets `reset.test`. */
function echoStreams(): ReturnType<typeof createHttp2Server> {
  const http2 = createHttp2Server();
  http2.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    const authority = headers[':authority'] ?? '';
    if (headers[':method'] !== 'CONNECT' || headers[':path'] || headers[':scheme']) {
      stream.respond({ ':status': 400 }, { endStream: true });
    } else if (authority.startsWith('reset.test')) {
      stream.close(2);
    } else if (authority.startsWith('refuse.test')) {
      stream.respond({ ':status': 502, 'fairlead-error': 'dial_failed' });
      stream.end('dial failed\n');
    } else {
      stream.respond({ ':status': 200 });
      stream.pipe(stream);
    }
  });
  return http2;
}

async function tryStreams(t: Test, client: Http2ConnectClient): Promise<void> {
  const streams = Array.from({ length: 20 }, async (_, index) => {
    const { status, stream } = await client.connect(`target-${index}.test:1`);
    t.equal(status, 200);
    seededReadable(`stream ${index}`, 100_000).pipe(stream);
    t.equal((await countBytes(stream)).sha256, seededSha256(`stream ${index}`, 100_000));
  });
  await Promise.all(streams);
  const refused = await client.connect('refuse.test:1');
  t.match(refused, {
    status: 502,
    headers: { 'fairlead-error': 'dial_failed' },
    body: 'dial failed\n',
  });
  await t.rejects(client.connect('reset.test:1'));
  t.equal((await client.connect('after.test:1')).status, 200, 'the connection stays open');
}

t.test('HTTP/2 CONNECT over a Unix domain socket', async (t) => {
  let connections = 0;
  const http2 = echoStreams();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    connections++;
    http2.emit('connection', socket);
  });
  const client = await Http2ConnectClient.open(await listen(t, server, 'uds'));
  t.teardown(() => client.close());
  await tryStreams(t, client);
  t.equal(connections, 1, 'one connection');
  await client.close();
  await client.close();
});

t.test('HTTP/2 CONNECT over TLS', async (t) => {
  const { ca, server, client: own } = (await sharedTestPki()).frontend;
  const http2 = echoStreams();
  const secure = createTlsServer(
    {
      ...{ ca, cert: server.cert, key: server.key, ALPNProtocols: ['h2'] },
      ...{ requestCert: true, rejectUnauthorized: true },
    },
    (socket) => http2.emit('connection', socket),
  );
  const tcp = await listen(t, secure, 'tcp');
  const client = await Http2ConnectClient.open({ ...tcp, tls: { ...own, ca } });
  t.teardown(() => client.close());
  await tryStreams(t, client);
  await t.rejects(Http2ConnectClient.open({ ...tcp, tls: { ca } }), 'no certificate');
  await t.rejects(Http2ConnectClient.open({ path: '/nonexistent' }), { code: 'ENOENT' });
});

t.test('HTTP/2: a lost connection fails the requests without an answer', async (t) => {
  const server = createServer((socket) => {
    const http2 = createHttp2Server();
    http2.on('stream', () => socket.destroy());
    http2.on('sessionError', () => {});
    http2.emit('connection', socket);
  });
  const client = await Http2ConnectClient.open(await listen(t, server, 'uds'));
  t.teardown(() => client.close());
  await t.rejects(client.connect('a.test:1'));
});
