import { FrameReader, type FrameSink, FrameType, PREFACE } from '@fairlead/http2/internal';
import t from 'tap';

class Recorder implements FrameSink {
  readonly events: string[] = [];
  #data = '';

  onFrame(type: number, flags: number, streamId: number, payload: Buffer): void {
    this.events.push(`${type} ${flags} ${streamId} ${payload.toString('hex')}`);
  }

  onDataStart(flags: number, streamId: number, length: number): void {
    this.events.push(`DATA ${flags} ${streamId} of ${length}`);
    this.#data = '';
  }

  onDataPiece(piece: Buffer): void {
    if (piece.length === 0) throw new Error('an empty piece');
    this.#data += piece.toString('latin1');
  }

  onDataEnd(): void {
    this.events.push(`"${this.#data}"`);
  }
}

function frame(type: number, flags: number, streamId: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

const bytes = Buffer.concat([
  PREFACE,
  frame(FrameType.SETTINGS, 0, 0, Buffer.alloc(0)),
  frame(FrameType.HEADERS, 4, 1, Buffer.from('8286', 'hex')),
  frame(FrameType.DATA, 0, 1, Buffer.from('hello')),
  frame(FrameType.DATA, 8, 1, Buffer.from('\x03padded\0\0\0')),
  frame(FrameType.DATA, 8, 1, Buffer.from('\x00')),
  frame(FrameType.DATA, 8, 1, Buffer.from('\x02\0\0')),
  frame(FrameType.DATA, 1, 1, Buffer.alloc(0)),
  frame(FrameType.PING, 0, 0, Buffer.from('0102030405060708', 'hex')),
]);

const expected = [
  '4 0 0 ',
  '1 4 1 8286',
  'DATA 0 1 of 5',
  '"hello"',
  'DATA 8 1 of 10',
  '"padded"',
  'DATA 8 1 of 1',
  '""',
  'DATA 8 1 of 3',
  '""',
  'DATA 1 1 of 0',
  '""',
  '6 0 0 0102030405060708',
];

t.test('reads frames that are cut at any two places', async (t) => {
  for (let first = 0; first <= bytes.length; first++) {
    for (const second of [first, Math.min(first + 1, bytes.length), bytes.length]) {
      const recorder = new Recorder();
      const reader = new FrameReader(recorder);
      reader.push(bytes.subarray(0, first));
      reader.push(bytes.subarray(first, second));
      reader.push(bytes.subarray(second));
      t.strictSame(recorder.events, expected, `cut at ${first} and ${second}`);
    }
  }
});

t.test('reads frames byte by byte', async (t) => {
  const recorder = new Recorder();
  const reader = new FrameReader(recorder);
  for (const byte of bytes) reader.push(Buffer.of(byte));
  t.strictSame(recorder.events, expected);
});

for (const [what, wrong, code] of [
  ['a wrong preface', Buffer.from('GET / HTTP/1.1\r\n'), 1],
  ['a frame of 16,385 bytes', Buffer.concat([PREFACE, frame(1, 0, 1, Buffer.alloc(16_385))]), 6],
  ['padding longer than DATA', Buffer.concat([PREFACE, frame(0, 8, 1, Buffer.of(1))]), 1],
  ['DATA without its padding length', Buffer.concat([PREFACE, frame(0, 8, 1, Buffer.of())]), 6],
] as const) {
  t.test(`refuses ${what}`, async (t) => {
    t.throws(() => new FrameReader(new Recorder()).push(wrong), { code });
  });
}

t.test('accepts a frame of 16,384 bytes', async (t) => {
  const recorder = new Recorder();
  new FrameReader(recorder).push(Buffer.concat([PREFACE, frame(9, 0, 1, Buffer.alloc(16_384))]));
  t.equal(recorder.events.length, 1);
});
