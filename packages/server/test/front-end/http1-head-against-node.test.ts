import { createServer } from 'node:http';
import { PassThrough } from 'node:stream';
import { Http1HeadReader } from '@fairlead/server/internal';
import fc from 'fast-check';
import t from 'tap';

const maxBytes = 1_024;
const read = (text: string) => new Http1HeadReader(maxBytes).push(Buffer.from(text, 'latin1'));

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
