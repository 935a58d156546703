import type { Packet } from '@fairlead/konnectivity';
import {
  decodePacket,
  encodeDataHead,
  encodePacket,
  MESSAGE_HEADER_BYTES,
  MessageDecoder,
} from '@fairlead/konnectivity/internal';
import fc from 'fast-check';
import t from 'tap';
import { decodeByOracle, encodeByOracle } from './packet-oracle.ts';

/** A packet as a whole gRPC message, with the payload of DATA. */
function encode(packet: Packet): Buffer {
  if (packet.type !== 'DATA') return encodePacket(packet);
  return Buffer.concat([encodeDataHead(packet.connectId, packet.data.length), packet.data]);
}

const int63 = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n });
const text = fc.string({ unit: 'grapheme', maxLength: 40 });
const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 }).map((array) => Buffer.from(array));
const packets: fc.Arbitrary<Packet> = fc.oneof(
  fc.record({
    type: fc.constant('DIAL_REQ' as const),
    protocol: text,
    address: text,
    random: int63,
  }),
  fc.record({
    type: fc.constant('DIAL_RSP' as const),
    error: text,
    connectId: int63,
    random: int63,
  }),
  fc.record({ type: fc.constant('CLOSE_REQ' as const), connectId: int63 }),
  fc.record({ type: fc.constant('CLOSE_RSP' as const), error: text, connectId: int63 }),
  fc.record({
    type: fc.constant('DATA' as const),
    connectId: int63,
    error: fc.constant(''),
    data: bytes,
  }),
  fc.record({ type: fc.constant('DIAL_CLS' as const), random: int63 }),
  fc.constant({ type: 'DRAIN' as const }),
);

t.test('encodes and decodes known packets', async (t) => {
  const known: [string, Packet, string][] = [
    [
      'DIAL_REQ, whose type is the default and is omitted',
      { type: 'DIAL_REQ', protocol: 'tcp', address: 'a:1', random: 2n ** 62n + 1n },
      '00 00000016 1214 0a03746370 1203613a31 18 818080808080808040',
    ],
    [
      'DIAL_RSP',
      { type: 'DIAL_RSP', error: '', connectId: 1n, random: 5n },
      '00 00000008 0801 1a04 1001 1805',
    ],
    [
      'DATA',
      { type: 'DATA', connectId: 1n, error: '', data: Buffer.from('hi') },
      '00 0000000a 0804 2206 0801 1a02 6869',
    ],
    ['CLOSE_REQ', { type: 'CLOSE_REQ', connectId: 300n }, '00 00000007 0802 2a03 08ac02'],
    [
      'CLOSE_RSP',
      { type: 'CLOSE_RSP', error: 'x', connectId: 1n },
      '00 00000009 0803 3205 0a0178 1001',
    ],
    ['DIAL_CLS', { type: 'DIAL_CLS', random: 7n }, '00 00000006 0805 3a02 0807'],
    ['DRAIN', { type: 'DRAIN' }, '00 00000004 0806 4200'],
  ];
  for (const [name, packet, hex] of known) {
    const wire = Buffer.from(hex.replaceAll(' ', ''), 'hex');
    t.equal(encode(packet).toString('hex'), wire.toString('hex'), name);
    t.same(decodePacket(wire.subarray(MESSAGE_HEADER_BYTES)), packet, name);
  }
});

t.test('encodes and decodes the same bytes as a protobuf library', async (t) => {
  fc.assert(
    fc.property(packets, (packet) => {
      const message = encode(packet);
      const body = message.subarray(MESSAGE_HEADER_BYTES);
      t.equal(message.readUInt32BE(1), body.length);
      t.same(decodeByOracle(body), packet);
      t.same(decodePacket(encodeByOracle(packet)), packet);
    }),
  );
});

t.test('skips unknown fields and types', async (t) => {
  // Field 9 of Packet, field 4 of CLOSE_REQ, a type without a name.
  const hex = '0802 2a07 08ac02 2202 7878 4a0178';
  t.same(decodePacket(Buffer.from(hex.replaceAll(' ', ''), 'hex')), {
    type: 'CLOSE_REQ',
    connectId: 300n,
  });
  t.equal(decodePacket(Buffer.from('0863', 'hex')), undefined);
  t.same(decodePacket(Buffer.alloc(0)), {
    type: 'DIAL_REQ',
    protocol: '',
    address: '',
    random: 0n,
  });
});

t.test('refuses bytes that are not a packet', async (t) => {
  const invalid = {
    'a varint without an end': 'ffffffffffffffffffffff',
    'a payload longer than the message': '08042220',
    'a field longer than its payload': '0804220308011a05',
    'the end of a group without its start': '0c',
  };
  for (const [name, hex] of Object.entries(invalid)) {
    t.throws(() => decodePacket(Buffer.from(hex, 'hex')), { code: 'frame_error' }, name);
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (random) => {
      try {
        decodePacket(Buffer.from(random));
      } catch (error) {
        t.match(error, { code: 'frame_error' });
      }
    }),
  );
});

t.test('decodes messages from chunks of any size', async (t) => {
  const sent: Packet[] = [
    { type: 'DIAL_REQ', protocol: 'tcp', address: '[::1]:443', random: 2n ** 63n - 1n },
    { type: 'DATA', connectId: 9n, error: '', data: Buffer.from('0123456789') },
    { type: 'DRAIN' },
  ];
  const wire = Buffer.concat([...sent.map(encode), Buffer.from('0000000000', 'hex')]);
  const receive = (chunks: readonly Buffer[]) => {
    const received: (Packet | undefined)[] = [];
    const decoder = new MessageDecoder((message) => received.push(decodePacket(message)));
    for (const chunk of chunks) decoder.push(chunk);
    t.equal(decoder.isInMessage, false);
    t.match(received, sent);
    t.equal(received.length, 4, 'an empty message is delivered too');
  };
  for (let at = 0; at <= wire.length; at += 1) receive([wire.subarray(0, at), wire.subarray(at)]);
  receive(Array.from(wire, (byte) => Buffer.from([byte])));
});

t.test('refuses compressed and long messages', async (t) => {
  const push = (hex: string) => () => new MessageDecoder(() => {}).push(Buffer.from(hex, 'hex'));
  t.throws(push('0100000001ff'), /compressed/);
  t.throws(push('0700000001ff'), /unknown flag 7/);
  t.throws(push('0000800000'), /8388608 bytes is too long/);
  t.doesNotThrow(push('0000400000'), 'a message of 4 MiB is accepted');
});
