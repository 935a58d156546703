import { errorTable, formatTarget, refusalFrame, TunnelError } from '@fairlead/protocol';
import {
  DATA_FRAME_BYTES,
  FrameBatch,
  FrameDecoder,
  FrameType,
  HEADER_BYTES,
  INITIAL_WINDOW_BYTES,
  isSendable,
  MAX_CREDIT_BYTES,
  MAX_HELLO_BYTES,
  MAX_PAYLOAD_BYTES,
  MAX_STREAM_ID,
  MAX_TEXT_BYTES,
  PING_FRAME_BYTES,
  releaseFrameBuffer,
} from '@fairlead/protocol/internal';
import t from 'tap';
import { bytes } from '../session/raw-peer.ts';
import { putData, takeBytes } from './batch-bytes.ts';
import { FrameCollector, normalized } from './frame-collector.ts';
import { decodeAll, type Frame } from './oracle-codec.ts';

function decode(...chunks: Buffer[]): Frame[] {
  const collector = new FrameCollector();
  const decoder = new FrameDecoder(collector);
  for (const chunk of chunks) decoder.push(chunk);
  return normalized(collector.frames);
}

function encode(fill: (batch: FrameBatch) => void): Buffer {
  const batch = new FrameBatch();
  fill(batch);
  const { bytes: counted } = batch;
  const encoded = takeBytes(batch);
  if (counted !== encoded.length) throw new Error(`counted ${counted}, encoded ${encoded.length}`);
  return encoded;
}

t.test('constants are those of docs/spec.md', async (t) => {
  t.equal(HEADER_BYTES, 8, '1.1');
  t.equal(MAX_PAYLOAD_BYTES, 65_535, '1.1');
  t.equal(MAX_STREAM_ID, 2_147_483_647, '1.5');
  t.equal(DATA_FRAME_BYTES, 32_760, '1.7');
  t.equal(MAX_HELLO_BYTES, 16_384, '8.2');
  t.equal(MAX_TEXT_BYTES, 256, '8.2');
  t.equal(INITIAL_WINDOW_BYTES, 65_536, '4.1');
  t.equal(MAX_CREDIT_BYTES, 2_147_483_647, '4.2');
  t.equal(PING_FRAME_BYTES, 16, '7.4');
  t.strictSame(FrameType, {
    HELLO: 1,
    OPEN: 2,
    OPENED: 3,
    OPEN_FAILED: 4,
    DATA: 5,
    FIN: 6,
    RESET: 7,
    WINDOW: 8,
    PING: 9,
    PONG: 10,
    GOAWAY: 11,
  });
});

t.test('9 wire codes do not change', async (t) => {
  const wireByCode = Object.entries(errorTable).map(([code, { wire }]) => `${code} ${wire}`);
  t.strictSame(wireByCode, [
    'cancelled 0',
    'shutting_down 1',
    'superseded 2',
    'duplicate_tunnel 3',
    'protocol_error 16',
    'frame_error 17',
    'flow_control_error 18',
    'stream_id_error 19',
    'stream_closed 20',
    'version_unsupported 21',
    'hello_timeout 22',
    'internal_error 23',
    'tunnel_lost 32',
    'tunnel_silent 33',
    'ids_exhausted 34',
    'target_refused 48',
    'target_unreachable 49',
    'dns_failed 50',
    'dial_timeout 51',
    'dial_failed 52',
    'target_reset 53',
    'client_reset 54',
    'agent_failed 55',
    'policy_denied 64',
    'limit_reached 65',
    'memory_limit 66',
    'unauthenticated 67',
    'unauthorized 68',
    'authentication_unavailable 69',
    'no_agent 80',
    'backend_dial_timeout 81',
    'bad_request 82',
    'bad_target 83',
    'method_not_allowed 84',
    'head_too_large 85',
    'request_timeout 86',
  ]);
});

interface Fixture {
  readonly rule: string;
  readonly hex: string;
  readonly frame: Frame;
  readonly fill: (batch: FrameBatch) => void;
}

const fixtures: Fixture[] = [
  {
    rule: '2.4 HELLO',
    hex: '01 00 0010 00000000 7b2276657273696f6e73223a5b315d7d',
    frame: { name: 'HELLO', json: '{"versions":[1]}' },
    fill: (batch) => batch.hello({ versions: [1] }),
  },
  {
    rule: '3.4 OPEN with a name',
    hex: '02 00 0007 00000002 01bb 04 6e6f6465',
    frame: { name: 'OPEN', id: 2, host: 'node', port: 443 },
    fill: (batch) => batch.open(2, { host: 'node', port: 443 }),
  },
  {
    rule: '3.4 OPEN with an IPv6 address',
    hex: '02 00 0006 7ffffffd ffff 03 3a3a31',
    frame: { name: 'OPEN', id: 0x7ffffffd, host: '::1', port: 65_535 },
    fill: (batch) => batch.open(0x7ffffffd, { host: '::1', port: 65_535 }),
  },
  {
    rule: '3.3 OPENED',
    hex: '03 00 0000 00000002',
    frame: { name: 'OPENED', id: 2 },
    fill: (batch) => batch.opened(2),
  },
  {
    rule: '3.3 OPEN_FAILED',
    hex: '04 00 000a 00000003 0030 6e6f20c3bc626572',
    frame: { name: 'OPEN_FAILED', id: 3, code: 48, text: 'no über' },
    fill: (batch) => batch.openFailed(3, new TunnelError('target_refused', 'no\nüber')),
  },
  {
    rule: 'DATA',
    hex: '05 00 0003 00000002 00ff10',
    frame: { name: 'DATA', id: 2, hex: '00ff10' },
    fill: (batch) => putData(batch, 2, Buffer.from([0, 255, 16])),
  },
  {
    rule: 'DATA without bytes',
    hex: '05 00 0000 00000002',
    frame: { name: 'DATA', id: 2, hex: '' },
    fill: (batch) => putData(batch, 2, Buffer.alloc(0)),
  },
  {
    rule: '3.5 FIN',
    hex: '06 00 0000 12345678',
    frame: { name: 'FIN', id: 0x12345678 },
    fill: (batch) => batch.fin(0x12345678),
  },
  {
    rule: '3.7 RESET',
    hex: '07 00 0002 00000001 0042',
    frame: { name: 'RESET', id: 1, code: 66 },
    fill: (batch) => batch.reset(1, new TunnelError('memory_limit')),
  },
  {
    rule: '4.2 WINDOW',
    hex: '08 00 0004 00000001 fffefdfc',
    frame: { name: 'WINDOW', id: 1, increment: 0xfffefdfc },
    fill: (batch) => batch.window(1, 0xfffefdfc),
  },
  {
    rule: '7.4 PING',
    hex: '09 00 0008 00000000 00000000 fffefdfc',
    frame: { name: 'PING', hex: '00000000fffefdfc' },
    fill: (batch) => batch.ping(0xfffefdfc),
  },
  {
    rule: '7.5 PONG',
    hex: '0a 00 000c 00000000 00000000 fffefdfc 00001388',
    frame: { name: 'PONG', hex: '00000000fffefdfc', busyUs: 5000 },
    fill: (batch) => batch.pong(bytes('00000000 fffefdfc'), 5000),
  },
  {
    rule: '6.1 GOAWAY',
    hex: '0b 00 0009 00000000 0001 00000007 627965',
    frame: { name: 'GOAWAY', code: 1, lastId: 7, reason: 'bye' },
    fill: (batch) => batch.goAway(new TunnelError('shutting_down', 'bye'), 7),
  },
];

for (const { rule, hex, frame, fill } of fixtures) {
  t.test(`${rule} is encoded and decoded`, async (t) => {
    const wire = bytes(hex);
    t.equal(encode(fill).toString('hex'), wire.toString('hex'), 'encodes');
    t.strictSame(decode(wire), [frame], 'decodes');
    t.strictSame(decode(...[...wire].map((byte) => Buffer.from([byte]))), [frame], 'byte by byte');
    for (let cut = 1; cut < wire.length; cut++) {
      t.strictSame(decode(wire.subarray(0, cut), wire.subarray(cut)), [frame], `cut at ${cut}`);
      t.strictSame(
        decode(Buffer.concat([wire, wire.subarray(0, cut)]), wire.subarray(cut)),
        normalized([frame, frame]),
        `the second of two cut at ${cut}`,
      );
    }
  });
}

t.test('1.2 flags are sent as 0 and ignored', async (t) => {
  t.strictSame(decode(bytes('03 ff 0000 00000002')), [{ name: 'OPENED', id: 2 }]);
  for (const { fill } of fixtures) t.equal(encode(fill)[1], 0);
});

t.test('1.3 a frame of an unknown type is skipped, in one or two chunks', async (t) => {
  const after: Frame = { name: 'FIN', id: 5 };
  for (const head of ['00 00', '0c 00', 'ff ff']) {
    for (const id of ['00000000', '00000009', 'ffffffff']) {
      for (const payload of ['0000', '0001 aa', '000c 060000000000000506000000']) {
        const wire = bytes(
          `${head} ${payload.slice(0, 4)} ${id} ${payload.slice(4)} 06 00 0000 00000005`,
        );
        t.strictSame(decode(wire), [after]);
        for (let cut = 1; cut < wire.length; cut++) {
          t.strictSame(decode(wire.subarray(0, cut), wire.subarray(cut)), [after], `cut at ${cut}`);
        }
      }
    }
  }
});

const malformed: [rule: string, code: string, hex: string][] = [
  ['1.4 HELLO on a stream', 'frame_error', '01 00 0002 00000001 7b7d'],
  ['1.4 PING on a stream', 'frame_error', '09 00 0008 00000001 0000000000000000'],
  ['1.4 PONG on a stream', 'frame_error', '0a 00 0008 00000001 0000000000000000'],
  ['1.4 GOAWAY on a stream', 'frame_error', '0b 00 0006 00000001 000000000000'],
  ['1.4 OPEN on stream 0', 'frame_error', '02 00 0004 00000000 0050 01 61'],
  ['1.4 OPENED on stream 0', 'frame_error', '03 00 0000 00000000'],
  ['1.4 OPEN_FAILED on stream 0', 'frame_error', '04 00 0002 00000000 0000'],
  ['1.4 DATA on stream 0', 'frame_error', '05 00 0001 00000000 61'],
  ['1.4 FIN on stream 0', 'frame_error', '06 00 0000 00000000'],
  ['1.4 RESET on stream 0', 'frame_error', '07 00 0002 00000000 0000'],
  ['1.4 WINDOW on stream 0', 'frame_error', '08 00 0004 00000000 00000001'],
  ['1.5 OPEN with the highest bit', 'frame_error', '02 00 0004 80000001 0050 01 61'],
  ['1.5 DATA with the highest bit', 'frame_error', '05 00 0001 80000001 61'],
  ['1.5 empty DATA with the highest bit', 'frame_error', '05 00 0000 80000001'],
  ['1.5 FIN with the highest bit', 'frame_error', '06 00 0000 ffffffff'],
  ['1.5 HELLO with the highest bit', 'frame_error', '01 00 0002 80000000 7b7d'],
  ['1.6 OPEN of 3 bytes', 'frame_error', '02 00 0003 00000001 0050 01'],
  ['1.6 OPEN_FAILED of 1 byte', 'frame_error', '04 00 0001 00000001 00'],
  ['1.6 FIN with payload', 'frame_error', '06 00 0001 00000001 00'],
  ['1.6 RESET of 1 byte', 'frame_error', '07 00 0001 00000001 00'],
  ['1.6 WINDOW of 3 bytes', 'frame_error', '08 00 0003 00000001 000001'],
  ['1.6 WINDOW of 5 bytes', 'frame_error', '08 00 0005 00000001 0000000100'],
  ['1.6 PING of 7 bytes', 'frame_error', '09 00 0007 00000000 00000000000000'],
  ['1.6 PING of 9 bytes', 'frame_error', '09 00 0009 00000000 000000000000000000'],
  ['1.6 PONG of 7 bytes', 'frame_error', '0a 00 0007 00000000 00000000000000'],
  ['1.6 GOAWAY of 5 bytes', 'frame_error', '0b 00 0005 00000000 0000000000'],
  ['3.4 OPEN without a host', 'frame_error', '02 00 0004 00000001 0050 00 61'],
  ['3.4 OPEN with a host beyond the payload', 'frame_error', '02 00 0004 00000001 0050 02 61'],
  [
    '3.4 OPEN with a host of 254 bytes',
    'frame_error',
    `02 00 0101 00000001 0050 fe ${'61'.repeat(254)}`,
  ],
  ['3.4 OPEN with port 0', 'frame_error', '02 00 0004 00000001 0000 01 61'],
  ['4.2 WINDOW of 0', 'frame_error', '08 00 0004 00000001 00000000'],
  ['2.7 HELLO of 16,385 bytes', 'protocol_error', '01 00 4001 00000000'],
];

for (const [rule, code, hex] of malformed) {
  t.test(`${rule} is refused with ${code} that names the type`, async (t) => {
    const wire = bytes(hex);
    const [type] = /[A-Z_]{3,}/.exec(rule)!;
    const message = code === 'frame_error' ? new RegExp(`malformed ${type} frame: .`) : /HELLO/;
    t.throws(() => decode(wire), { code, message });
    t.throws(
      () => decode(...[...wire].map((byte) => Buffer.from([byte]))),
      { code, message },
      'byte by byte',
    );
  });
}

t.test('1.5 the highest stream ID is valid', async (t) => {
  t.strictSame(decode(bytes('05 00 0000 7fffffff 06 00 0000 7fffffff')), [
    { name: 'DATA', id: 0x7fff_ffff, hex: '' },
    { name: 'FIN', id: 0x7fff_ffff },
  ]);
});

t.test('2.2 another first frame than HELLO or GOAWAY is refused at its header', async (t) => {
  const open = '02 00 0004 00000002 0050 01 61';
  const hello = '01 00 0002 00000000 7b7d';
  const goAway = '0b 00 0006 00000000 0001 00000000';
  const first = (hex: string) => {
    const collector = new FrameCollector();
    new FrameDecoder(collector, true).push(bytes(hex));
    return collector.frames.map(({ name }) => name);
  };
  const message = 'the first frame is not HELLO';
  for (const other of [open.slice(0, 19), '63 00 0001 00000000', '05 00 0001 00000002']) {
    t.throws(() => first(other), { code: 'protocol_error', message }, other);
    t.strictSame(decode(bytes(other)), [], 'it is valid later');
  }
  t.strictSame(first(`${hello} ${open} 63 00 0000 00000000`), ['HELLO', 'OPEN']);
  t.strictSame(first(`${goAway} ${open}`), ['GOAWAY', 'OPEN']);
});

t.test('2.7 the decoder passes on a HELLO of 0 to 16,384 bytes', async (t) => {
  t.strictSame(decode(bytes('01 00 0000 00000000')), [{ name: 'HELLO', json: '' }]);
  const json = 'x'.repeat(16_384);
  const longest = Buffer.concat([bytes('01 00 4000 00000000'), Buffer.from(json)]);
  t.strictSame(decode(longest), [{ name: 'HELLO', json }]);
});

t.test('3.4 a host can have 253 bytes', async (t) => {
  const host = 'a'.repeat(253);
  const wire = encode((batch) => batch.open(1, { host, port: 1 }));
  t.strictSame(decode(wire), [{ name: 'OPEN', id: 1, host, port: 1 }]);
});

t.test('3.4 a target is sendable if OPEN can carry it', async (t) => {
  for (const host of ['a', 'a'.repeat(253), `ü${'a'.repeat(251)}`]) {
    for (const port of [1, 443, 65_535]) t.ok(isSendable({ host, port }), `${host}:${port}`);
  }
  for (const host of ['', 'a'.repeat(254), `ü${'a'.repeat(252)}`]) {
    t.notOk(isSendable({ host, port: 443 }), host);
  }
  for (const port of [-1, 0, 1.5, 65_536, Number.NaN]) {
    t.notOk(isSendable({ host: 'a', port }), `port ${port}`);
  }
});

t.test('a target is shown as host:port, with brackets around an IPv6 address', async (t) => {
  t.equal(formatTarget({ host: 'node', port: 443 }), 'node:443');
  t.equal(formatTarget({ host: '::1', port: 80 }), '[::1]:80');
});

t.test('10.4 a refusal is a final GOAWAY alone', async (t) => {
  t.strictSame(decode(refusalFrame(new TunnelError('unauthorized', 'no'))), [
    { name: 'GOAWAY', code: 68, lastId: 0, reason: 'no' },
  ]);
});

t.test('1.6 extra bytes are ignored if the spec says "at least"', async (t) => {
  t.strictSame(decode(bytes('02 00 0006 00000001 0050 01 61 ffff')), [
    { name: 'OPEN', id: 1, host: 'a', port: 80 },
  ]);
  t.strictSame(decode(bytes(`03 00 4001 00000001 ${'ff'.repeat(16_385)}`)), [
    { name: 'OPENED', id: 1 },
  ]);
  t.strictSame(decode(bytes('07 00 0005 00000001 0010 ffffff')), [
    { name: 'RESET', id: 1, code: 16 },
  ]);
  t.strictSame(decode(bytes('0a 00 0008 00000000 0000000000000001')), [
    { name: 'PONG', hex: '0000000000000001', busyUs: 0 },
  ]);
  t.strictSame(decode(bytes('0a 00 000e 00000000 0000000000000001 00000002 ffff')), [
    { name: 'PONG', hex: '0000000000000001', busyUs: 2 },
  ]);
});

t.test('1.7 DATA of 65,535 bytes is delivered as slices of the chunks', async (t) => {
  const wire = Buffer.concat([bytes('05 00 ffff 00000002'), Buffer.alloc(65_535, 7)]);
  const pieces: Buffer[] = [];
  const collector = new FrameCollector();
  collector.onData = (_id, piece) => pieces.push(piece);
  const decoder = new FrameDecoder(collector);
  decoder.push(wire.subarray(0, 30_000));
  decoder.push(wire.subarray(30_000));
  t.strictSame(
    pieces.map((piece) => piece.length),
    [29_992, 35_543],
  );
  t.ok(
    pieces.every((piece) => piece.buffer === wire.buffer),
    'nothing was copied',
  );
});

t.test('8.2 texts are cut between characters at 256 bytes', async (t) => {
  for (const [text, sent] of [
    ['a'.repeat(256), 'a'.repeat(256)],
    ['a'.repeat(999), 'a'.repeat(255)],
    ['ü'.repeat(300), 'ü'.repeat(128)],
    [`a${'ü'.repeat(300)}`, `a${'ü'.repeat(127)}`],
    [`aa${'日'.repeat(300)}`, `aa${'日'.repeat(84)}`],
  ] as const) {
    const error = new TunnelError('target_refused', text);
    const wire = encode((batch) => {
      batch.openFailed(1, error);
      batch.goAway(error, 1);
    });
    t.strictSame(decodeAll(wire).frames, [
      { name: 'OPEN_FAILED', id: 1, code: 48, text: sent },
      { name: 'GOAWAY', code: 48, lastId: 1, reason: sent },
    ]);
  }
  const [received] = decode(bytes(`04 00 0200 00000001 0010 ${'61'.repeat(510)}`));
  t.strictSame(received, { name: 'OPEN_FAILED', id: 1, code: 16, text: 'a'.repeat(256) });
});

t.test('2.7 a HELLO of more than 16,384 bytes is not sent', async (t) => {
  const withPayload = (bytes: number) => {
    const agentId = 'x'.repeat(bytes - '{"agentId":""}'.length);
    return encode((batch) => batch.hello({ agentId })).length;
  };
  t.equal(withPayload(16_384), HEADER_BYTES + 16_384);
  t.throws(() => withPayload(16_385), { code: 'protocol_error', message: /16385 bytes/ });
});

t.test('7.5 busy time above 32 bits is sent as the maximum', async (t) => {
  const wire = encode((batch) => batch.pong(Buffer.alloc(8), 2 ** 33));
  t.equal(wire.readUInt32BE(16), 2 ** 32 - 1);
});

t.test('a batch grows as needed and keeps the order of frames', async (t) => {
  const payload = Buffer.alloc(60_000, 'payload');
  const batch = new FrameBatch();
  for (let id = 1; id <= 3000; id++) {
    batch.window(id, id);
    if (id % 500 === 0) putData(batch, id, payload);
  }
  const frames = decode(takeBytes(batch));
  t.strictSame(
    frames.map((frame) => (frame.name === 'WINDOW' ? frame.increment : 0)).filter((id) => id > 0),
    Array.from({ length: 3000 }, (_, index) => index + 1),
  );
  t.equal(frames.filter((frame) => frame.name === 'DATA').length, 6);
  t.equal(batch.bytes, 0);
  t.equal(batch.take().bytes, 0, 'the batch is empty');
});

t.test('a buffer is reused only after its release', async (t) => {
  const first = new FrameBatch();
  first.opened(2);
  const taken = first.take();
  const second = new FrameBatch();
  second.opened(4);
  t.not(second.take().buffer, taken.buffer, 'the first buffer is not released');
  releaseFrameBuffer(taken.buffer);
  const third = new FrameBatch();
  third.opened(6);
  t.equal(third.take().buffer, taken.buffer);
});
