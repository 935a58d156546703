import { ErrorCode, encodeFields, type Http2Stream } from '@fairlead/http2';
import { FrameType } from '@fairlead/http2/internal';
import { eventually } from '@fairlead/testkit';
import t from 'tap';
import { echo, ok, startServer } from './http2-server.ts';
import { RawClient } from './raw-client.ts';

const END_STREAM = 1;
const END_HEADERS = 4;

t.test('bytes before a reset by the client are delivered, and then the reset', async (t) => {
  const seen: string[] = [];
  let stream: Http2Stream | undefined;
  const server = await startServer(t, (opened) => {
    stream = opened;
    opened.pause();
    opened.attach({
      onData: (chunk) => seen.push(String(chunk)),
      onEnd: () => seen.push('end'),
      onDrain() {},
      onClose: (error) => seen.push(`closed: ${error?.code}`),
    });
  });
  const client = await RawClient.connect(t, server.port);
  client.request(1);
  client.sendFrame(FrameType.DATA, 0, 1, '413');
  await eventually('the bytes are held', () => stream?.undeliveredBytes === 3);
  t.strictSame(seen, [], 'a paused stream delivers nothing');
  client.sendNumbers(FrameType.RST_STREAM, 1, 2);
  await eventually('the stream is closed', () => stream?.isClosed);
  t.strictSame(seen, ['413', 'closed: 2']);
  t.equal(server.memory.heldBytes, 0);
});

t.test('a connection that is closed resets its streams', async (t) => {
  const closes: (number | undefined)[] = [];
  let opened = 0;
  const server = await startServer(t, (stream) => {
    opened++;
    stream.attach({
      onData() {},
      onEnd: () => t.fail('a lost connection is not an end'),
      onDrain() {},
      onClose: (error) => closes.push(error?.code),
    });
  });
  const client = await RawClient.connect(t, server.port);
  client.request(1);
  client.request(3);
  await eventually('both are open', () => opened === 2);
  client.socket.destroy();
  await eventually('both are closed', () => closes.length === 2);
  t.strictSame(closes, [0, 0]);
});

const malformed: Record<string, Record<string, string>> = {
  'an upper-case name': { Upper: 'x' },
  'a name with a space': { 'a b': 'x' },
  'an empty name': { '': 'x' },
  'a value with CR LF': { a: 'x\r\nb: y' },
  'a value with NUL': { a: 'x\0' },
  'a value that begins with a space': { a: ' x' },
  'a field of HTTP/1.1': { connection: 'close' },
  'transfer-encoding': { 'transfer-encoding': 'chunked' },
  'te other than trailers': { te: 'gzip' },
  'an unknown pseudo field': { ':unknown': 'x' },
  'content-length that is no number': { 'content-length': '1x' },
  'an empty path': { ':path': '' },
  'CONNECT with a path': { ':method': 'CONNECT', ':authority': 'a:1' },
};
for (const [what, fields] of Object.entries(malformed)) {
  t.test(`resets a request with ${what}`, async (t) => {
    const server = await startServer(t, () => t.fail('the request is malformed'));
    const client = await RawClient.connect(t, server.port);
    client.request(1, fields);
    t.equal(await client.resetOf(1), ErrorCode.PROTOCOL_ERROR);
  });
}

t.test('resets a body whose length is not content-length', async (t) => {
  const server = await startServer(t, echo);
  const client = await RawClient.connect(t, server.port);
  client.request(1, { 'content-length': '3' });
  client.sendFrame(FrameType.DATA, END_STREAM, 1, 'four');
  t.equal(await client.resetOf(1), ErrorCode.PROTOCOL_ERROR);
});

t.test('resets a stream that sends beyond its window', async (t) => {
  const server = await startServer(t, (stream) => stream.respond(ok), {
    streamWindowBytes: 20_000,
  });
  const client = await RawClient.connect(t, server.port);
  client.request(1);
  client.sendFrame(FrameType.DATA, 0, 1, Buffer.alloc(16_384));
  client.sendFrame(FrameType.DATA, 0, 1, Buffer.alloc(3_616));
  client.sendFrame(FrameType.PING, 0, 0, Buffer.alloc(8));
  await client.frame('PING is answered', ({ type }) => type === FrameType.PING);
  client.sendFrame(FrameType.DATA, 0, 1, 'x');
  t.equal(await client.resetOf(1), ErrorCode.FLOW_CONTROL_ERROR);
  await eventually('its bytes are released', () => server.memory.heldBytes < 1_000);
});

t.test('padding uses the window and is granted again', async (t) => {
  const server = await startServer(t, echo, { streamWindowBytes: 20_000 });
  const client = await RawClient.connect(t, server.port);
  client.request(1);
  const padded = Buffer.alloc(256);
  padded[0] = 255;
  for (let sent = 0; sent < 200; sent++) {
    client.sendFrame(FrameType.DATA, 8, 1, padded);
    if (sent % 35 === 34) {
      const count = client.frames.length;
      await eventually('a grant', () => client.frames.length > count);
    }
  }
  client.sendFrame(FrameType.DATA, END_STREAM, 1, 'end');
  const last = await client.frame(
    'the echo',
    ({ type, payload }) => type === 0 && payload.length > 0,
  );
  t.equal(String(last.payload), 'end');
});

t.test('refuses more streams than it allows', async (t) => {
  const server = await startServer(t, (stream) => stream.respond(ok), { maxConcurrentStreams: 2 });
  const client = await RawClient.connect(t, server.port);
  for (const id of [1, 3, 5]) client.request(id);
  t.equal(await client.resetOf(5), ErrorCode.REFUSED_STREAM);
  client.sendNumbers(FrameType.RST_STREAM, 1, 8);
  client.request(7);
  await client.frame('the next is served', ({ type, streamId }) => type === 1 && streamId === 7);
});

/** Each must end the connection with ENHANCE_YOUR_CALM, and hold little memory. */
const floods: Record<string, (client: RawClient, count: number) => void> = {
  'SETTINGS (CVE-2019-9515)': (client) => client.sendFrame(FrameType.SETTINGS, 0, 0),
  'empty DATA (CVE-2019-9518)': (client) => client.sendFrame(FrameType.DATA, 0, 1),
  PRIORITY: (client) =>
    client.sendFrame(FrameType.PRIORITY, 0, 3, Buffer.from('0000000100', 'hex')),
  'unknown frames': (client) => client.sendFrame(99, 0, 0, 'x'),
  'malformed requests': (client, count) => client.request(3 + 2 * count, { ':path': '' }),
  'resets provoked by the client (CVE-2025-8671)': (client, count) => {
    client.request(3 + 2 * count);
    client.sendNumbers(FrameType.WINDOW_UPDATE, 3 + 2 * count, 0);
  },
};
for (const [what, send] of Object.entries(floods)) {
  t.test(`ends a connection that floods with ${what}`, async (t) => {
    const server = await startServer(t, () => {});
    const client = await RawClient.connect(t, server.port);
    client.request(1);
    for (let count = 0; count < 2_000; count++) send(client, count);
    t.equal(await client.goAway(), ErrorCode.ENHANCE_YOUR_CALM);
    await eventually('the connection is closed', () => client.isClosed);
    t.ok(server.memory.maxBytes < 100_000, `${server.memory.maxBytes} bytes held`);
    t.equal(server.memory.heldBytes, 0);
  });
}

t.test('ends a connection with too many CONTINUATION frames (CVE-2024-27316)', async (t) => {
  const server = await startServer(t, () => t.fail('there is no complete request'));
  const client = await RawClient.connect(t, server.port);
  client.request(1, {}, 0);
  for (let count = 0; count < 20; count++) client.sendFrame(FrameType.CONTINUATION, 0, 1);
  t.equal(await client.goAway(), ErrorCode.ENHANCE_YOUR_CALM);
});

t.test('an HPACK bomb is refused and costs no memory', async (t) => {
  const server = await startServer(t, () => t.fail('the head is too large'));
  const client = await RawClient.connect(t, server.port);
  // An entry of 4,000 bytes in the table, and 12,000 references to it.
  const request = encodeFields({ ':method': 'POST', ':scheme': 'http', ':path': '/' });
  const entry = Buffer.concat([
    Buffer.from('400161', 'hex'),
    Buffer.from('7fa11e', 'hex'),
    Buffer.alloc(4_000, 'b'),
  ]);
  const bomb = Buffer.concat([request, entry, Buffer.alloc(12_000, 0xbe)]);
  client.sendFrame(FrameType.HEADERS, END_HEADERS | END_STREAM, 1, bomb);
  const answer = await client.frame('an answer', ({ type }) => type === FrameType.HEADERS);
  t.equal(answer.payload.toString('latin1').includes('431'), true);
});

t.test('closes a connection that does not read its PING answers', async (t) => {
  const server = await startServer(t, echo);
  const client = await RawClient.connect(t, server.port);
  client.socket.pause();
  const ping = Buffer.concat(
    Array.from({ length: 1_000 }, () => Buffer.from('0000080600000000000000000000000000', 'hex')),
  );
  const isClosed = eventually('the connection is closed', () => client.isClosed);
  client.socket.on('close', () => {});
  // Until the kernel's buffers and ours are full.
  const timer = setInterval(() => {
    if (!client.socket.writableNeedDrain) client.send(ping);
    if (server.connections[0]?.isClosed) client.socket.resume();
  });
  await isClosed;
  clearInterval(timer);
  t.ok(server.memory.maxBytes < 2_000_000, `${server.memory.maxBytes} bytes held`);
});

t.test('a window of 0 holds the answer, and SETTINGS release it', async (t) => {
  const server = await startServer(t, echo);
  const client = await RawClient.connect(t, server.port);
  const settings = (bytes: number) => {
    const payload = Buffer.alloc(6);
    payload.writeUInt16BE(4, 0);
    payload.writeUInt32BE(bytes, 2);
    client.sendFrame(FrameType.SETTINGS, 0, 0, payload);
  };
  settings(0);
  client.request(1);
  client.sendFrame(FrameType.DATA, END_STREAM, 1, 'hello');
  await client.frame('the head', ({ type }) => type === FrameType.HEADERS);
  t.notOk(client.frames.some(({ type }) => type === FrameType.DATA));
  settings(3);
  const first = await client.frame('DATA', ({ type }) => type === FrameType.DATA);
  t.equal(String(first.payload), 'hel');
  client.sendNumbers(FrameType.WINDOW_UPDATE, 1, 100);
  const last = await client.frame('the end', ({ type, flags }) => type === 0 && flags === 1);
  t.equal(String(last.payload), 'lo');
});
