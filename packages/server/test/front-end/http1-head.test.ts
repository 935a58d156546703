import { createServer } from 'node:http';
import { PassThrough } from 'node:stream';
import { Http1HeadReader } from '@fairlead/server/internal';
import fc from 'fast-check';
import t from 'tap';

const maxBytes = 1_024;
const read = (text: string) => new Http1HeadReader(maxBytes).push(Buffer.from(text, 'latin1'));

t.test('reads a head, whatever place it is cut at, and what follows it', async (t) => {
  const text = 'CONNECT host:443 HTTP/1.1\r\nHost: host\r\nX: caf\xe9 \r\nEmpty:\r\n\r\nabc';
  const bytes = Buffer.from(text, 'latin1');
  for (let cut = 0; cut < bytes.length - 3; cut++) {
    const reader = new Http1HeadReader(maxBytes);
    t.equal(reader.push(bytes.subarray(0, cut)), undefined);
    const head = reader.push(bytes.subarray(cut));
    t.match(head, { method: 'CONNECT', target: 'host:443', version: '1.1' }, `cut at ${cut}`);
    t.equal(String(head?.rest), 'abc');
  }
});

t.test('reads other methods and versions, which the caller refuses', async (t) => {
  t.match(read('GET / HTTP/1.0\r\n\r\n'), { method: 'GET', target: '/', version: '1.0' });
});

t.test('a head may have exactly the maximum of bytes', async (t) => {
  const line = 'CONNECT a:1 HTTP/1.1\r\nX: ';
  const fill = (bytes: number) => `${line}${'x'.repeat(bytes - line.length - 4)}\r\n\r\n`;
  t.equal(read(`${fill(maxBytes)}rest`)?.rest.toString(), 'rest');
  t.throws(() => read(fill(maxBytes + 1)), { code: 'head_too_large' });
  const reader = new Http1HeadReader(maxBytes);
  const bytes = Buffer.from(fill(maxBytes + 1));
  t.throws(
    () => {
      for (const byte of bytes) reader.push(Buffer.of(byte));
    },
    { code: 'head_too_large' },
  );
});

for (const [what, text] of [
  ['bare LF', 'CONNECT a:1 HTTP/1.1\nHost: a\n\n'],
  ['bare LF between fields', 'CONNECT a:1 HTTP/1.1\r\nA: b\nC: d\r\n\r\n'],
  ['bare CR', 'CONNECT a:1 HTTP/1.1\r\nA: b\rC: d\r\n\r\n'],
  ['NUL in a value', 'CONNECT a:1 HTTP/1.1\r\nA: \0\r\n\r\n'],
  ['two spaces', 'CONNECT  a:1 HTTP/1.1\r\n\r\n'],
  ['a tab for a space', 'CONNECT\ta:1 HTTP/1.1\r\n\r\n'],
  ['a space after the version', 'CONNECT a:1 HTTP/1.1 \r\n\r\n'],
  ['an empty line first', '\r\nCONNECT a:1 HTTP/1.1\r\n\r\n'],
  ['a folded line', 'CONNECT a:1 HTTP/1.1\r\nA: b\r\n c\r\n\r\n'],
  ['a space before the colon', 'CONNECT a:1 HTTP/1.1\r\nA : b\r\n\r\n'],
  ['no name', 'CONNECT a:1 HTTP/1.1\r\n: b\r\n\r\n'],
  ['no colon', 'CONNECT a:1 HTTP/1.1\r\nA\r\n\r\n'],
  ['a name with a forbidden character', 'CONNECT a:1 HTTP/1.1\r\nA(b): c\r\n\r\n'],
  ['a byte above ASCII in the target', 'CONNECT \xe9:1 HTTP/1.1\r\n\r\n'],
  ['no version', 'CONNECT a:1\r\n\r\n'],
  ['another protocol', 'CONNECT a:1 ICY/1.1\r\n\r\n'],
  ['a version of three digits', 'CONNECT a:1 HTTP/1.10\r\n\r\n'],
  ['two lengths', 'CONNECT a:1 HTTP/1.1\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r\n'],
  ['a length that is no number', 'CONNECT a:1 HTTP/1.1\r\nContent-Length: +1\r\n\r\n'],
  [
    'length and coding',
    'CONNECT a:1 HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
  ],
  [
    'a coding that is not chunked',
    'CONNECT a:1 HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n',
  ],
] as const) {
  t.test(`refuses ${what}`, async (t) => {
    t.throws(() => read(text), { code: 'bad_request' });
  });
}

for (const [what, text] of [
  ['TLS', '\x16\x03\x01\x02\x00\x01'],
  ['lower-case garbage', 'garbage'],
  ['bare LF', 'CONNECT a:1 HTTP/1.1\nH'],
  ['NUL', 'CONNECT a:1 HTTP/1.1\r\nA: \0'],
] as const) {
  t.test(`refuses half a head with ${what} at once`, async (t) => {
    t.throws(() => read(text), { code: 'bad_request' });
  });
}

t.test('refuses a bare CR that is the last byte of a read', async (t) => {
  const reader = new Http1HeadReader(maxBytes);
  t.equal(reader.push(Buffer.from('CONNECT a:1 HTTP/1.1\r\nA: b\r')), undefined);
  t.throws(() => reader.push(Buffer.from('C: d')), { code: 'bad_request' });
});

/** The target that node:http reads in a CONNECT; undefined if it refuses the request. */
async function nodeReads(text: string): Promise<string | undefined> {
  const server = createServer({ requireHostHeader: false, maxHeaderSize: maxBytes });
  const socket = new PassThrough();
  return await new Promise((resolve) => {
    server.on('connect', ({ url }) => resolve(url));
    server.on('clientError', () => resolve(undefined));
    server.on('request', () => resolve(undefined));
    server.emit('connection', socket);
    socket.end(Buffer.from(text, 'latin1'));
    socket.on('finish', () => setImmediate(() => setImmediate(() => resolve(undefined))));
  });
}

t.test('accepts no CONNECT that node:http refuses, nor with another target', async (t) => {
  const piece = fc.constantFrom(
    ...['CONNECT', ' ', 'a:1', '[::1]:80', 'HTTP/1.1', '\r\n', '\n', '\r', ':', 'A', 'b', '\t'],
    ...['Content-Length', 'Transfer-Encoding', 'chunked', '1', ', ', '\0', '\x7f', '\xff', 'Host'],
  );
  const line = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom('Host: a', 'A: b', 'Content-Length: 0') },
    fc.array(piece, { maxLength: 5 }).map((pieces) => pieces.join('')),
  );
  const first = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom('CONNECT a:1 HTTP/1.1', 'CONNECT [::1]:80 HTTP/1.1') },
    fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join('')),
  );
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(first, fc.array(line, { maxLength: 4 }), async (start, lines) => {
      const text = `${[start, ...lines].join('\r\n')}\r\n\r\n`;
      let target: string | undefined;
      try {
        const head = read(text);
        if (head?.method === 'CONNECT' && head.version === '1.1') target = head.target;
      } catch {
        return;
      }
      if (target === undefined) return;
      accepted++;
      if ((await nodeReads(text)) !== target) throw new Error(JSON.stringify(text));
    }),
    { numRuns: 3_000 },
  );
  t.ok(accepted > 100, `${accepted} heads were accepted`);
});
