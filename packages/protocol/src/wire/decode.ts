import { shareChunk } from '../flow/chunk-lease.ts';
import { TunnelError } from './errors.ts';
import {
  FrameType,
  HEADER_BYTES,
  MAX_HELLO_BYTES,
  MAX_HOST_BYTES,
  MAX_STREAM_ID,
  MAX_TEXT_BYTES,
  type Target,
} from './frame.ts';

/**
 * Receives the decoded frames in order. The decoder has checked their form. The session checks their meaning, for
 * example whether a stream exists or has credit.
 */
export interface FrameSink {
  onHello(json: Buffer): void;
  onOpen(streamId: number, target: Target): void;
  onOpened(streamId: number): void;
  onOpenFailed(streamId: number, wireCode: number, text: string): void;
  /** A piece of a DATA payload. One frame may arrive in several pieces. */
  onData(streamId: number, piece: Buffer): void;
  onFin(streamId: number): void;
  onReset(streamId: number, wireCode: number): void;
  onWindow(streamId: number, incrementBytes: number): void;
  onPing(opaque: Buffer): void;
  onPong(mark: number, busyUs: number): void;
  onGoAway(wireCode: number, lastStreamId: number, reason: string): void;
}

/** The minimum payload size by frame type; -1 for an unknown type, which is skipped. */
const minBytes = new Int32Array(256).fill(-1);
for (const [type, bytes] of [
  [FrameType.HELLO, 0],
  [FrameType.OPEN, 4],
  [FrameType.OPENED, 0],
  [FrameType.OPEN_FAILED, 2],
  [FrameType.DATA, 0],
  [FrameType.FIN, 0],
  [FrameType.RESET, 2],
  [FrameType.WINDOW, 4],
  [FrameType.PING, 8],
  [FrameType.PONG, 8],
  [FrameType.GOAWAY, 6],
] as const) {
  minBytes[type] = bytes;
}

/** Types whose payload has exactly one size (spec 1.6). */
const exactBytes = new Map<number, number>([
  [FrameType.FIN, 0],
  [FrameType.WINDOW, 4],
  [FrameType.PING, 8],
]);

const nameByType = new Map<number, string>(
  Object.entries(FrameType).map(([name, type]) => [type, name]),
);

const sessionTypes = new Set<number>([
  FrameType.HELLO,
  FrameType.PING,
  FrameType.PONG,
  FrameType.GOAWAY,
]);

const EMPTY = Buffer.alloc(0);

/**
 * Splits a byte stream into frames (spec section 1). Chunks may be cut anywhere. The payload of DATA is passed on as
 * slices of the chunks. Only a control frame that arrives in several chunks is copied.
 */
export class FrameDecoder {
  readonly #sink: FrameSink;
  /** Only HELLO or GOAWAY may come next (spec 2.2). */
  #isFirst: boolean;
  /** A header that arrives in pieces. */
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerBytes = 0;
  #type = 0;
  #streamId = 0;
  /** Payload bytes of the current frame that have not arrived. */
  #missing = 0;
  #length = 0;
  /** The payload of a control frame that arrives in pieces, in a buffer of its full length. */
  #gathered: Buffer | undefined;

  /**
   * @param startsWithHello whether the first frame is the first of a session (spec 2.2): then any other protocol is
   *   refused at its first header
   */
  constructor(sink: FrameSink, startsWithHello = false) {
    this.#sink = sink;
    this.#isFirst = startsWithHello;
  }

  /**
   * Decodes a chunk. After an error, the decoder must not be used again.
   * @throws TunnelError `frame_error`, `protocol_error`, or what the sink throws
   */
  push(chunk: Buffer): void {
    const end = chunk.length;
    let at = 0;
    while (at < end) {
      if (this.#missing > 0) {
        at = this.#onPayload(chunk, at);
        continue;
      }
      let header = chunk;
      let start = at;
      if (this.#headerBytes > 0 || end - at < HEADER_BYTES) {
        const bytes = Math.min(HEADER_BYTES - this.#headerBytes, end - at);
        chunk.copy(this.#header, this.#headerBytes, at, at + bytes);
        this.#headerBytes += bytes;
        at += bytes;
        if (this.#headerBytes < HEADER_BYTES) return;
        this.#headerBytes = 0;
        header = this.#header;
        start = 0;
      } else {
        at += HEADER_BYTES;
      }
      this.#onHeader(header, start);
    }
  }

  #onHeader(header: Buffer, at: number): void {
    const type = header[at]!;
    const length = (header[at + 2]! << 8) | header[at + 3]!;
    const streamId = header.readUInt32BE(at + 4);
    this.#type = type;
    this.#streamId = streamId;
    this.#missing = this.#length = length;
    if (this.#isFirst) this.#onFirst(type);
    if (type === FrameType.DATA && streamId !== 0 && streamId <= MAX_STREAM_ID) {
      if (length === 0) this.#sink.onData(streamId, EMPTY);
      return;
    }
    const min = minBytes[type]!;
    if (min < 0) return;
    if (streamId > MAX_STREAM_ID) throw frameError(type, 'its stream ID has the highest bit set');
    if ((streamId === 0) !== sessionTypes.has(type)) {
      throw frameError(type, `it cannot have stream ID ${streamId}`);
    }
    const exact = exactBytes.get(type);
    if (length < min || (exact !== undefined && length !== exact)) {
      throw frameError(type, `its payload has ${length} bytes, not ${min}`);
    }
    if (type === FrameType.HELLO && length > MAX_HELLO_BYTES) {
      throw new TunnelError('protocol_error', `HELLO of ${length} bytes is too long`);
    }
    if (length === 0) this.#onControl(EMPTY);
  }

  /** Refuses also a type that would be skipped later, because the peer speaks another protocol. */
  #onFirst(type: number): void {
    this.#isFirst = false;
    if (type === FrameType.HELLO || type === FrameType.GOAWAY) return;
    throw new TunnelError('protocol_error', 'the first frame is not HELLO');
  }

  /** Takes payload from the chunk. @returns where it ends */
  #onPayload(chunk: Buffer, at: number): number {
    const take = Math.min(this.#missing, chunk.length - at);
    const to = at + take;
    this.#missing -= take;
    if (this.#type === FrameType.DATA) {
      const piece = take === chunk.length ? chunk : chunk.subarray(at, to);
      shareChunk(chunk, piece);
      this.#sink.onData(this.#streamId, piece);
      return to;
    }
    if (minBytes[this.#type]! < 0) return to;
    let payload = chunk.subarray(at, to);
    if (take < this.#length) {
      this.#gathered ??= Buffer.allocUnsafe(this.#length);
      chunk.copy(this.#gathered, this.#length - this.#missing - take, at, to);
      if (this.#missing > 0) return to;
      payload = this.#gathered;
      this.#gathered = undefined;
    }
    this.#onControl(payload);
    return to;
  }

  #onControl(payload: Buffer): void {
    const sink = this.#sink;
    const id = this.#streamId;
    switch (this.#type) {
      case FrameType.HELLO:
        return sink.onHello(payload);
      case FrameType.OPEN:
        return sink.onOpen(id, openTarget(payload));
      case FrameType.OPENED:
        return sink.onOpened(id);
      case FrameType.OPEN_FAILED:
        return sink.onOpenFailed(id, payload.readUInt16BE(0), text(payload, 2));
      case FrameType.FIN:
        return sink.onFin(id);
      case FrameType.RESET:
        return sink.onReset(id, payload.readUInt16BE(0));
      case FrameType.WINDOW: {
        const increment = payload.readUInt32BE(0);
        if (increment === 0) throw frameError(FrameType.WINDOW, 'its increment is 0');
        return sink.onWindow(id, increment);
      }
      case FrameType.PING:
        return sink.onPing(payload);
      case FrameType.PONG:
        return sink.onPong(
          payload.readUInt32BE(4),
          payload.length >= 12 ? payload.readUInt32BE(8) : 0,
        );
      case FrameType.GOAWAY:
        return sink.onGoAway(payload.readUInt16BE(0), payload.readUInt32BE(2), text(payload, 6));
    }
  }
}

function openTarget(payload: Buffer): Target {
  const port = payload.readUInt16BE(0);
  const hostBytes = payload[2]!;
  if (hostBytes === 0 || hostBytes > MAX_HOST_BYTES || 3 + hostBytes > payload.length) {
    throw frameError(FrameType.OPEN, `its host cannot have ${hostBytes} bytes`);
  }
  if (port === 0) throw frameError(FrameType.OPEN, 'its port is 0');
  return { host: payload.toString('utf8', 3, 3 + hostBytes), port };
}

function text(payload: Buffer, at: number): string {
  return payload.toString('utf8', at, Math.min(payload.length, at + MAX_TEXT_BYTES));
}

function frameError(type: number, what: string): TunnelError {
  return new TunnelError('frame_error', `malformed ${nameByType.get(type)} frame: ${what}`);
}
