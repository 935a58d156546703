import { TunnelError } from '@fairlead/protocol';
import { FrameBatch, FrameDecoder } from '@fairlead/protocol/internal';
import fc from 'fast-check';
import t from 'tap';
import { putData, takeBytes } from './batch-bytes.ts';
import { FrameCollector, normalized } from './frame-collector.ts';
import { decodeAll, encodeOne, type Frame } from './oracle-codec.ts';

const id = fc.integer({ min: 1, max: 2 ** 31 - 1 });
const uint16 = fc.integer({ min: 0, max: 0xffff });
const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
const text = fc.string({ maxLength: 256 }).filter((value) => Buffer.byteLength(value) <= 256);
const hex = (constraints: { minLength?: number; maxLength: number }) =>
  fc.uint8Array(constraints).map((value) => Buffer.from(value).toString('hex'));

const anyFrame: fc.Arbitrary<Frame> = fc.oneof(
  fc.record({ name: fc.constant('HELLO' as const), json: fc.json() }),
  fc.record({
    name: fc.constant('OPEN' as const),
    id,
    host: fc.string({ minLength: 1, maxLength: 60 }),
    port: fc.integer({ min: 1, max: 65_535 }),
  }),
  fc.record({ name: fc.constant('OPENED' as const), id }),
  fc.record({ name: fc.constant('OPEN_FAILED' as const), id, code: uint16, text }),
  fc.record({ name: fc.constant('DATA' as const), id, hex: hex({ maxLength: 200 }) }),
  fc.record({ name: fc.constant('FIN' as const), id }),
  fc.record({ name: fc.constant('RESET' as const), id, code: uint16 }),
  fc.record({
    name: fc.constant('WINDOW' as const),
    id,
    increment: fc.integer({ min: 1, max: 0xffff_ffff }),
  }),
  fc.record({ name: fc.constant('PING' as const), hex: hex({ minLength: 8, maxLength: 8 }) }),
  fc.record({
    name: fc.constant('PONG' as const),
    // Marks of this implementation have four bytes. The other four are 0.
    hex: hex({ minLength: 4, maxLength: 4 }).map((value) => value.padStart(16, '0')),
    busyUs: uint32,
  }),
  fc.record({ name: fc.constant('GOAWAY' as const), code: uint16, lastId: uint32, reason: text }),
  fc.record({
    name: fc.constant('unknown' as const),
    type: fc.integer({ min: 12, max: 255 }),
    id: uint32,
    hex: hex({ maxLength: 200 }),
  }),
);

t.test('the decoder reads what the oracle encodes, in chunks of any size', async () => {
  fc.assert(
    fc.property(
      fc.array(anyFrame, { maxLength: 20 }),
      fc.array(fc.integer({ min: 0, max: 4000 }), { maxLength: 30 }),
      (frames, cuts) => {
        const wire = Buffer.concat(frames.map(encodeOne));
        const collector = new FrameCollector();
        const decoder = new FrameDecoder(collector);
        const ends = [...cuts.map((cut) => cut % (wire.length + 1)), wire.length];
        let at = 0;
        for (const end of ends.sort((one, other) => one - other)) {
          decoder.push(wire.subarray(at, end));
          at = end;
        }
        assertSame(normalized(collector.frames), normalized(frames));
      },
    ),
    { numRuns: 500 },
  );
});

/** Frames that this implementation sends: known codes, sanitized texts, its own marks. */
const sentFrame: fc.Arbitrary<Frame> = anyFrame
  .filter(({ name }) => name !== 'unknown')
  .map((frame) => {
    switch (frame.name) {
      case 'RESET':
        return { ...frame, code: 66 };
      case 'OPEN_FAILED':
        return { ...frame, code: 48, text: `failed ${frame.id}` };
      case 'GOAWAY':
        return { ...frame, code: 1, reason: 'maintenance' };
      case 'HELLO':
        return { name: 'HELLO', json: JSON.stringify({ serverId: frame.json }) };
      case 'PING':
        return { name: 'PING', hex: frame.hex.slice(8).padStart(16, '0') };
      default:
        return frame;
    }
  });

function put(batch: FrameBatch, frame: Frame): void {
  switch (frame.name) {
    case 'HELLO':
      return batch.hello(JSON.parse(frame.json));
    case 'OPEN':
      return batch.open(frame.id, frame);
    case 'OPENED':
      return batch.opened(frame.id);
    case 'OPEN_FAILED':
      return batch.openFailed(frame.id, new TunnelError('target_refused', frame.text));
    case 'DATA':
      return putData(batch, frame.id, Buffer.from(frame.hex, 'hex'));
    case 'FIN':
      return batch.fin(frame.id);
    case 'RESET':
      return batch.reset(frame.id, new TunnelError('memory_limit'));
    case 'WINDOW':
      return batch.window(frame.id, frame.increment);
    case 'PING':
      return batch.ping(Number.parseInt(frame.hex, 16));
    case 'PONG':
      return batch.pong(Buffer.from(frame.hex, 'hex'), frame.busyUs);
    case 'GOAWAY':
      return batch.goAway(new TunnelError('shutting_down', frame.reason), frame.lastId);
    case 'unknown':
      throw new Error('never sent');
  }
}

t.test('the oracle reads what the encoder writes in several batches', async () => {
  fc.assert(
    fc.property(fc.array(fc.array(sentFrame, { maxLength: 20 }), { maxLength: 5 }), (batches) => {
      const batch = new FrameBatch();
      const wire: Buffer[] = [];
      for (const frames of batches) {
        for (const frame of frames) put(batch, frame);
        wire.push(takeBytes(batch));
      }
      const { frames, rest } = decodeAll(Buffer.concat(wire));
      assertSame(frames, batches.flat());
      if (rest.length > 0) throw new Error(`${rest.length} bytes left over`);
    }),
    { numRuns: 300 },
  );
});

t.test('the decoder fails only with a TunnelError for any bytes', async (t) => {
  const codes = new Set<string>();
  fc.assert(
    fc.property(
      fc.array(fc.tuple(anyFrame, fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1 }),
      (damaged) => {
        const decoder = new FrameDecoder(new FrameCollector());
        try {
          for (const [frame, where, value] of damaged) {
            const wire = encodeOne(frame);
            wire[where % wire.length] = value;
            decoder.push(wire);
          }
        } catch (error) {
          if (!(error instanceof TunnelError)) throw error;
          codes.add(error.code);
        }
      },
    ),
    { numRuns: 500 },
  );
  t.ok(codes.has('frame_error'));
  t.notOk(codes.has('internal_error'));
});

function assertSame(found: readonly Frame[], expected: readonly Frame[]): void {
  const [one, other] = [JSON.stringify(found), JSON.stringify(expected)];
  if (one !== other) throw new Error(`found ${one}, expected ${other}`);
}
