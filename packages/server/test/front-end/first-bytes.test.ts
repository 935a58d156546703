import { protocolOf } from '@fairlead/server/internal';
import t from 'tap';

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

t.test('the preface is recognized as HTTP/2 when its first line is complete', async (t) => {
  for (let length = 0; length <= preface.length; length++) {
    const expected = length < 16 ? undefined : 'http2';
    t.equal(protocolOf(preface.subarray(0, length)), expected, `${length} bytes`);
  }
});

t.test('a preface with one wrong byte is treated as HTTP/1.1', async (t) => {
  for (let position = 0; position < 16; position++) {
    const bytes = Buffer.from(preface);
    bytes[position]! ^= 0x20;
    t.equal(protocolOf(bytes), 'http1');
    t.equal(protocolOf(bytes.subarray(0, position + 1)), 'http1', 'at the wrong byte');
  }
});

t.test('CONNECT is recognized as HTTP/1.1 from its first byte', async (t) => {
  t.equal(protocolOf(Buffer.from('C')), 'http1');
  t.equal(protocolOf(Buffer.from('PRI * HTTP/1.1\r\n')), 'http1');
});
