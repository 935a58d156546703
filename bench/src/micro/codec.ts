import { TunnelError } from '@fairlead/protocol';
import {
  DATA_FRAME_BYTES,
  FrameBatch,
  FrameDecoder,
  type FrameSink,
  releaseFrameBuffer,
} from '@fairlead/protocol/internal';
import { type MicroCase, repeated } from './micro-case.ts';

/** The number of frames in one write of a busy tick. */
const frameCount = 64;
/** The number of full frames in one write. */
const fullFrameCount = 4;
const smallBytes = 128;
/** TLS delivers one record at a time. */
const recordBytes = 16_384;
/** The payload of an Ethernet segment, which cuts frames at any byte. */
const segmentBytes = 1_448;

const ignore = () => {};
const sink: FrameSink = {
  onHello: ignore,
  onOpen: ignore,
  onOpened: ignore,
  onOpenFailed: ignore,
  onData: ignore,
  onFin: ignore,
  onReset: ignore,
  onWindow: ignore,
  onPing: ignore,
  onPong: ignore,
  onGoAway: ignore,
};

const smallSource = sourceOf(Buffer.alloc(smallBytes, 1));
const fullSource = sourceOf(Buffer.alloc(DATA_FRAME_BYTES, 1));
const target = { host: '10.1.2.3', port: 10_250 };
const cancelled = new TunnelError('cancelled');

/** The codec without session and sockets. */
export function codecCases(): MicroCase[] {
  return [
    encoding('encode DATA, 128 bytes', small),
    encoding('encode DATA, full frames', full, 1, fullFrameCount),
    encoding('encode OPEN, WINDOW, FIN, RESET', encodeControl, 4),
    decoding('decode DATA, 128 bytes, whole records', recordBytes, small),
    decoding('decode DATA, 128 bytes, cut at 1,448', segmentBytes, small),
    decoding('decode DATA, full frames, whole records', recordBytes, full),
    decoding('decode OPEN, WINDOW, FIN, RESET', recordBytes, encodeControl, 4),
  ];
}

type Encode = (batch: FrameBatch, streamId: number) => void;

/** The payload of a stream: one chunk that the encoder copies into the frame. */
function sourceOf(payload: Buffer) {
  return { takeInto: (buffer: Buffer, at: number) => void payload.copy(buffer, at) };
}

function small(batch: FrameBatch, id: number): void {
  batch.data(id, smallSource, smallBytes);
}

function full(batch: FrameBatch, id: number): void {
  batch.data(id, fullSource, DATA_FRAME_BYTES);
}

function encodeControl(batch: FrameBatch, id: number): void {
  batch.open(id, target);
  batch.window(id, 32_768);
  batch.fin(id);
  batch.reset(id, cancelled);
}

function encoding(name: string, encode: Encode, framesPerCall = 1, calls = frameCount): MicroCase {
  const batch = new FrameBatch();
  return repeated(name, 'frames/s', calls * framesPerCall, () => {
    for (let id = 1; id <= calls; id++) encode(batch, id);
    releaseFrameBuffer(batch.take().buffer);
  });
}

function decoding(name: string, chunkBytes: number, encode: Encode, framesPerCall = 1): MicroCase {
  const batch = new FrameBatch();
  for (let id = 1; id <= frameCount; id++) encode(batch, id);
  const { buffer, bytes: length } = batch.take();
  const bytes = buffer.subarray(0, length);
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    chunks.push(bytes.subarray(at, at + chunkBytes));
  }
  const decoder = new FrameDecoder(sink);
  return repeated(name, 'frames/s', frameCount * framesPerCall, () => {
    for (const chunk of chunks) decoder.push(chunk);
  });
}
