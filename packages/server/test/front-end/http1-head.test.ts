import { Http1HeadReader } from '@fairlead/server/internal';
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

t.test('reads a head that arrives byte by byte', async (t) => {
  const reader = new Http1HeadReader(maxBytes);
  const bytes = Buffer.from('CONNECT [::1]:80 HTTP/1.1\r\nHost:\t a\r\n\r\n');
  for (const byte of bytes.subarray(0, -1)) t.equal(reader.push(Buffer.of(byte)), undefined);
  const head = reader.push(bytes.subarray(-1));
  t.match(head, { method: 'CONNECT', target: '[::1]:80', version: '1.1' });
  t.equal(head?.rest.length, 0);
});

t.test(
  'reads all characters that RFC 9110 allows in method, target, names and values',
  async (t) => {
    const token = "!#$%&'*+-.^_`|~0123456789abcxyzABCXYZ";
    const visible = String.fromCharCode(...Array.from({ length: 94 }, (_, index) => 0x21 + index));
    const text = `M${token} ${visible} HTTP/1.1\r\n${token}: ${visible} \t\x80\xff\r\n\r\n`;
    t.match(read(text), { method: `M${token}`, target: visible });
  },
);

t.test('reads fields that give the body one length', async (t) => {
  for (const fields of [
    ...['Content-Length: 0', 'content-length: 123456789012345 \t', 'Content-Length:1\r\nX: 2'],
    ...['Transfer-Encoding: chunked', 'transfer-encoding: gzip, CHUNKED \t', 'TE: x'],
    ...['Transfer-Encoding: gzip,chunked', 'Transfer-Encoding:\tchunked', 'X-Content-Length: x'],
  ]) {
    t.match(read(`CONNECT a:1 HTTP/1.1\r\n${fields}\r\n\r\n`), { target: 'a:1' }, fields);
  }
});

t.test('reads other methods and versions, which the caller refuses', async (t) => {
  t.match(read('GET / HTTP/1.0\r\n\r\n'), { method: 'GET', target: '/', version: '1.0' });
});

t.test('a head may have exactly the maximum of bytes', async (t) => {
  const line = 'CONNECT a:1 HTTP/1.1\r\nX: ';
  const fill = (bytes: number) => `${line}${'x'.repeat(bytes - line.length - 4)}\r\n\r\n`;
  t.equal(read(`${fill(maxBytes)}rest`)?.rest.toString(), 'rest');
  t.throws(() => read(fill(maxBytes + 1)), {
    code: 'head_too_large',
    message: 'the request head is longer than 1024 bytes',
  });
  const waiting = new Http1HeadReader(maxBytes);
  t.equal(waiting.push(Buffer.from(line.padEnd(maxBytes, 'x'))), undefined);
  t.throws(() => waiting.push(Buffer.from('x')), { code: 'head_too_large' });
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
  ['DEL in a value', 'CONNECT a:1 HTTP/1.1\r\nA: \x7f\r\n\r\n'],
  ['a control character in the target', 'CONNECT a\x01:1 HTTP/1.1\r\n\r\n'],
  ['a space in the target', 'CONNECT a: 1 HTTP/1.1\r\n\r\n'],
  ['no target', 'CONNECT  HTTP/1.1\r\n\r\n'],
  ['no method', ' a:1 HTTP/1.1\r\n\r\n'],
  ['a method with a forbidden character', 'CONN(ECT a:1 HTTP/1.1\r\n\r\n'],
  ['a name with a space', 'CONNECT a:1 HTTP/1.1\r\nA b: c\r\n\r\n'],
  ['a byte above ASCII in a name', 'CONNECT a:1 HTTP/1.1\r\n\xe9: c\r\n\r\n'],
  ['a bare CR at the end of a value', 'CONNECT a:1 HTTP/1.1\r\nA: b\r\r\n\r\n'],
  ['a version of one digit', 'CONNECT a:1 HTTP/1\r\n\r\n'],
  ['a version without a dot', 'CONNECT a:1 HTTP/1x1\r\n\r\n'],
  ['a version of two digits before the dot', 'CONNECT a:1 HTTP/11.1\r\n\r\n'],
  ['a version that is no number', 'CONNECT a:1 HTTP/x.1\r\n\r\n'],
  ['a byte above ASCII in the target', 'CONNECT \xe9:1 HTTP/1.1\r\n\r\n'],
  ['no version', 'CONNECT a:1\r\n\r\n'],
  ['another protocol', 'CONNECT a:1 ICY/1.1\r\n\r\n'],
  ['a version of three digits', 'CONNECT a:1 HTTP/1.10\r\n\r\n'],
  ['two lengths', 'CONNECT a:1 HTTP/1.1\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r\n'],
  ['a length that is no number', 'CONNECT a:1 HTTP/1.1\r\nContent-Length: +1\r\n\r\n'],
  ['a length with more than digits', 'CONNECT a:1 HTTP/1.1\r\nContent-Length: 1 2\r\n\r\n'],
  ['an empty length', 'CONNECT a:1 HTTP/1.1\r\nContent-Length:\r\n\r\n'],
  ['a length of 16 digits', `CONNECT a:1 HTTP/1.1\r\nContent-Length: ${'1'.repeat(16)}\r\n\r\n`],
  [
    'coding and length',
    'CONNECT a:1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n',
  ],
  ['an empty coding', 'CONNECT a:1 HTTP/1.1\r\nTransfer-Encoding:\r\n\r\n'],
  [
    'a coding whose name ends in chunked',
    'CONNECT a:1 HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n',
  ],
  [
    'a coding whose name begins with chunked',
    'CONNECT a:1 HTTP/1.1\r\nTransfer-Encoding: chunkedx\r\n\r\n',
  ],
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
  ['an empty line first', '\r\n'],
  ['a space first', ' CONNECT'],
  ['a bare CR', 'CONNECT a:1 HTTP/1.1\r\nA: b\rC'],
  ['DEL', 'CONNECT a:1 HTTP/1.1\r\nA: \x7f'],
  ['bare LF', 'CONNECT a:1 HTTP/1.1\nH'],
  ['NUL', 'CONNECT a:1 HTTP/1.1\r\nA: \0'],
] as const) {
  t.test(`refuses half a head with ${what} at once`, async (t) => {
    t.throws(() => read(text), { code: 'bad_request' });
  });
}

t.test('says what is wrong with a head', async (t) => {
  const line = 'CONNECT a:1 HTTP/1.1\r\n';
  const length = 'Content-Length: 1\r\n';
  for (const [text, what] of [
    ['CONNECT a:1\r\n\r\n', 'the request line is malformed'],
    [`${line}A\r\n\r\n`, 'a header line is malformed'],
    [`${line}${length}${length}\r\n`, 'Content-Length is invalid'],
    [`${line}Transfer-Encoding: x\r\n\r\n`, 'Transfer-Encoding is invalid'],
    [
      `${line}${length}Transfer-Encoding: chunked\r\n\r\n`,
      'Content-Length and Transfer-Encoding exclude each other',
    ],
    ['garbage', 'a character is not allowed there'],
  ] as const) {
    t.throws(() => read(text), { message: `the request is not HTTP/1.1: ${what}` }, what);
  }
});

t.test('refuses a bare CR that is the last byte of a read', async (t) => {
  const reader = new Http1HeadReader(maxBytes);
  t.equal(reader.push(Buffer.from('CONNECT a:1 HTTP/1.1\r\nA: b\r')), undefined);
  t.throws(() => reader.push(Buffer.from('C: d')), { code: 'bad_request' });
});
