import { once } from 'node:events';
import { type ClientHttp2Session, connect, constants } from 'node:http2';
import { buffer, text } from 'node:stream/consumers';
import { encodeFields, type Http2Stream } from '@fairlead/http2';
import { eventually, seededBuffer } from '@fairlead/testkit';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { echo, ok, startServer, type TestServer } from './http2-server.ts';

async function openClient(t: Test, server: TestServer): Promise<ClientHttp2Session> {
  const client = connect(`http://127.0.0.1:${server.port}`, { maxSessionMemory: 1_000 });
  t.teardown(() => client.destroy());
  await once(client, 'connect');
  return client;
}

t.test('passes bytes both ways, whatever their number', async (t) => {
  const server = await startServer(t, echo);
  const client = await openClient(t, server);
  for (const bytes of [0, 1, 16_384, 16_385, 300_000, 20_000_000]) {
    const sent = seededBuffer(`${bytes}`, bytes);
    const request = client.request({ ':method': 'POST', ':path': '/' });
    request.end(sent);
    const received = await buffer(request);
    t.ok(received.equals(sent), `${bytes} bytes`);
  }
  await eventually('all memory is released', () => server.memory.heldBytes === 0);
});

t.test('serves a hundred streams at once', async (t) => {
  const server = await startServer(t, echo);
  const client = await openClient(t, server);
  const answers = await Promise.all(
    Array.from({ length: 100 }, async (_, index) => {
      const sent = seededBuffer(`${index}`, 200_000 + index);
      const request = client.request({ ':method': 'POST', ':path': '/' });
      request.end(sent);
      return (await buffer(request)).equals(sent);
    }),
  );
  t.ok(answers.every(Boolean));
  t.equal(server.connections.length, 1);
});

t.test('a stalled stream does not stop another one', async (t) => {
  const stalled: Http2Stream[] = [];
  const server = await startServer(t, (stream) => {
    if (stream.request.path === '/echo') echo(stream);
    else stalled.push(stream);
  });
  const client = await openClient(t, server);
  const uploads = Array.from({ length: 20 }, () => {
    const request = client.request({ ':method': 'POST', ':path': '/stalled' });
    request.on('error', () => {});
    request.write(Buffer.alloc(2_000_000));
    return request;
  });
  await eventually('each stalled stream has filled its window', () => {
    return (
      stalled.length === 20 &&
      stalled.every(({ undeliveredBytes }) => undeliveredBytes === 1_048_576)
    );
  });
  const request = client.request({ ':method': 'POST', ':path': '/echo' });
  const sent = seededBuffer('1', 3_000_000);
  request.end(sent);
  t.ok((await buffer(request)).equals(sent));
  t.equal(server.memory.heldBytes, 20 * 1_048_576, 'what is held is counted exactly');
  for (const upload of uploads) upload.close(constants.NGHTTP2_CANCEL);
  await eventually('a reset releases it', () => server.memory.heldBytes === 0);
});

t.test('half-close: the client ends first, and the server first', async (t) => {
  const server = await startServer(t, (stream) => {
    stream.respond(ok);
    stream.write(Buffer.from('first'));
    if (stream.request.path === '/server-first') stream.end();
    let received = '';
    stream.attach({
      onData(chunk) {
        received += chunk;
        stream.consumed(chunk.length);
      },
      onEnd() {
        stream.write(Buffer.from(` ${received}`));
        stream.end();
        ends.push(received);
      },
      onDrain() {},
      onClose: (error) => closes.push(error),
    });
  });
  const ends: string[] = [];
  const closes: (Error | undefined)[] = [];
  const client = await openClient(t, server);
  const one = client.request({ ':method': 'POST', ':path': '/client-first' });
  one.end('last');
  t.equal(await text(one), 'first last');
  const two = client.request({ ':method': 'POST', ':path': '/server-first' });
  t.equal(await text(two), 'first');
  two.end('later');
  await eventually('both have closed', () => closes.length === 2);
  t.strictSame(ends, ['last', 'later']);
  t.strictSame(closes, [undefined, undefined]);
});

t.test('bytes before a reset by the server are sent, and then the reset', async (t) => {
  const server = await startServer(t, (stream) => {
    stream.respond(ok);
    stream.write(seededBuffer('2', 50_000));
    stream.reset(8);
  });
  const client = await openClient(t, server);
  const request = client.request({ ':method': 'POST', ':path': '/' });
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  request.on('error', () => {});
  await once(request, 'close');
  t.equal(request.rstCode, 8);
  t.equal(bytes, 50_000);
});

t.test('a stream that waits for room and closes is told only that it has closed', async (t) => {
  const calls: string[] = [];
  const server = await startServer(t, (stream) => {
    stream.attach({
      onData() {},
      onEnd: () => calls.push('end'),
      onDrain: () => calls.push('drain'),
      onClose: () => calls.push('close'),
    });
    stream.respond(ok);
    t.equal(stream.write(Buffer.alloc(200_000)), false, 'no room is left');
    stream.finish();
  });
  const client = connect(`http://127.0.0.1:${server.port}`, {
    settings: { initialWindowSize: 1_000_000 },
  });
  t.teardown(() => client.destroy());
  await once(client, 'connect');
  client.setLocalWindowSize(1_000_000);
  const request = client.request({ ':method': 'POST', ':path': '/' });
  t.equal((await buffer(request)).length, 200_000);
  t.strictSame(calls, ['close']);
});

t.test('sends trailers after the body', async (t) => {
  const trailers = encodeFields({ 'grpc-status': '0' });
  const server = await startServer(t, (stream) => {
    stream.respond(ok);
    stream.write(seededBuffer('3', 100_000));
    stream.end(trailers);
  });
  const client = await openClient(t, server);
  const request = client.request({ ':method': 'POST', ':path': '/' });
  request.end();
  const received = once(request, 'trailers');
  t.equal((await buffer(request)).length, 100_000);
  t.match(await received, [{ 'grpc-status': '0' }]);
});

t.test('gets every field of a request', async (t) => {
  const heads: (readonly (readonly [string, string])[])[] = [];
  const server = await startServer(t, (stream) => {
    heads.push(stream.request.fields);
    stream.respond(ok, true);
  });
  const client = await openClient(t, server);
  const name = fc.stringMatching(/^x-[a-z0-9!#$%&'*+.^_`|~-]{1,20}$/);
  const value = fc.stringMatching(/^[!-~]([ -~]{0,60}[!-~])?$/);
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.tuple(name, value), { selector: ([it]) => it }),
      async (fields) => {
        const request = client.request({ ':path': '/', ...Object.fromEntries(fields) });
        await once(request.resume(), 'close');
        t.strictSame(new Map(heads.pop()), new Map(fields));
      },
    ),
    { numRuns: 100 },
  );
});

t.test('answers a head above the limit with 431', async (t) => {
  const server = await startServer(t, echo, { maxHeadBytes: 1_000 });
  const client = await openClient(t, server);
  const request = client.request({ ':path': '/', large: 'x'.repeat(2_000) });
  const [headers] = (await once(request, 'response')) as [Record<string, unknown>];
  t.equal(headers[':status'], 431);
  await once(request.resume(), 'close');
  const next = client.request({ ':path': '/', ':method': 'POST' });
  next.end('x');
  t.equal(await text(next), 'x', 'the connection goes on');
});

t.test('drain: open streams go on, and then the connection ends', async (t) => {
  const server = await startServer(t, echo);
  const client = await openClient(t, server);
  const request = client.request({ ':method': 'POST', ':path': '/' });
  await once(request, 'response');
  const goAway = once(client, 'goaway');
  server.connections[0]!.drain();
  await goAway;
  request.end('late');
  t.equal(await text(request), 'late');
  await eventually('the connection has ended', () => client.destroyed);
});

t.test('measures the round trip time with PING', async (t) => {
  const server = await startServer(t, echo);
  await openClient(t, server);
  const rttMs = await new Promise<number>((resolve) => server.connections[0]!.ping(resolve));
  t.ok(rttMs >= 0 && rttMs < 60_000, `${rttMs} ms`);
});

t.test('closes a connection without a request, and one without an open request', async (t) => {
  const impatient = await startServer(t, echo, { headTimeoutMs: 50 });
  const silent = await openClient(t, impatient);
  await eventually('the silent client is closed', () => silent.destroyed);
  t.equal(impatient.silentCount, 1);
  const server = await startServer(t, echo, { idleTimeoutMs: 50 });
  const idle = await openClient(t, server);
  const request = idle.request({ ':method': 'POST', ':path': '/' });
  request.end('x');
  t.equal(await text(request), 'x');
  await eventually('the idle client is closed', () => idle.destroyed);
  t.equal(server.silentCount, 1);
});
