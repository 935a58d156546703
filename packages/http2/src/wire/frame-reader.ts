import {
  ErrorCode,
  Flag,
  FRAME_BYTES,
  FRAME_HEADER_BYTES,
  FrameType,
  Http2Error,
  PREFACE,
} from './frames.ts';

/** Receives the frames of a connection in order. What it throws ends the reading. */
export interface FrameSink {
  /** A whole frame of any type but DATA. The payload may be kept. */
  onFrame(type: number, flags: number, streamId: number, payload: Buffer): void;
  /** DATA begins. @param length what counts against the windows: payload and padding */
  onDataStart(flags: number, streamId: number, length: number): void;
  /** A piece of the payload of DATA, never empty. It may be kept. */
  onDataPiece(piece: Buffer): void;
  onDataEnd(): void;
}

/**
 * Splits what a client sends into frames (RFC 9113 section 4). Chunks may be cut anywhere. The payload of DATA is passed
 * on as slices of the chunks; another frame is copied only if it arrives in several chunks.
 */
export class FrameReader {
  readonly #sink: FrameSink;
  /** How much of the client's preface has arrived. */
  #prefaceBytes = 0;
  /** A frame header that arrives in pieces; undefined before the first one. */
  #header: Buffer | undefined;
  #headerBytes = 0;
  #type = 0;
  #flags = 0;
  #streamId = 0;
  #length = 0;
  /** Payload bytes of the current frame that have not arrived; -1 between frames. */
  #missing = -1;
  /** Of DATA: how many of the missing bytes are padding; -1 before the byte that says so. */
  #paddingBytes = 0;
  /** The payload of a frame that arrives in pieces, in a buffer of its full length. */
  #gathered: Buffer | undefined;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** @throws Http2Error for a malformed frame, or what the sink throws. The reader must not be used after that. */
  push(chunk: Buffer): void {
    let at = this.#prefaceBytes < PREFACE.length ? this.#onPreface(chunk) : 0;
    while (at < chunk.length) {
      at = this.#missing < 0 ? this.#onHeader(chunk, at) : this.#onPayload(chunk, at);
    }
  }

  #onPreface(chunk: Buffer): number {
    const bytes = Math.min(PREFACE.length - this.#prefaceBytes, chunk.length);
    const end = this.#prefaceBytes + bytes;
    if (chunk.compare(PREFACE, this.#prefaceBytes, end, 0, bytes) !== 0) {
      throw new Http2Error(ErrorCode.PROTOCOL_ERROR, 'the connection preface is wrong');
    }
    this.#prefaceBytes = end;
    return bytes;
  }

  #onHeader(chunk: Buffer, at: number): number {
    let header = chunk;
    let start = at;
    let end = at + FRAME_HEADER_BYTES;
    if (this.#headerBytes > 0 || end > chunk.length) {
      this.#header ??= Buffer.allocUnsafeSlow(FRAME_HEADER_BYTES);
      end = Math.min(at + FRAME_HEADER_BYTES - this.#headerBytes, chunk.length);
      chunk.copy(this.#header, this.#headerBytes, at, end);
      this.#headerBytes += end - at;
      if (this.#headerBytes < FRAME_HEADER_BYTES) return end;
      this.#headerBytes = 0;
      header = this.#header;
      start = 0;
    }
    this.#length = header.readUIntBE(start, 3);
    this.#type = header[start + 3]!;
    this.#flags = header[start + 4]!;
    this.#streamId = header.readUInt32BE(start + 5) & 0x7fff_ffff;
    if (this.#length > FRAME_BYTES) {
      throw new Http2Error(ErrorCode.FRAME_SIZE_ERROR, `a frame has ${this.#length} bytes`);
    }
    this.#missing = this.#length;
    if (this.#type === FrameType.DATA) this.#onDataStart();
    if (this.#missing === 0) this.#onFrameEnd(chunk.subarray(end, end));
    return end;
  }

  #onDataStart(): void {
    this.#paddingBytes = this.#flags & Flag.PADDED ? -1 : 0;
    if (this.#length + this.#paddingBytes < 0) {
      throw new Http2Error(ErrorCode.FRAME_SIZE_ERROR, 'DATA has no padding length');
    }
    this.#sink.onDataStart(this.#flags, this.#streamId, this.#length);
  }

  /** Takes payload from the chunk. @returns where it ends */
  #onPayload(chunk: Buffer, at: number): number {
    if (this.#type === FrameType.DATA) return this.#onData(chunk, at);
    const bytes = Math.min(this.#missing, chunk.length - at);
    const end = at + bytes;
    const isWhole = bytes === this.#length;
    if (!isWhole) {
      this.#gathered ??= Buffer.allocUnsafe(this.#length);
      chunk.copy(this.#gathered, this.#length - this.#missing, at, end);
    }
    this.#missing -= bytes;
    if (this.#missing === 0) this.#onFrameEnd(isWhole ? chunk.subarray(at, end) : this.#gathered!);
    return end;
  }

  #onData(chunk: Buffer, at: number): number {
    if (this.#paddingBytes < 0) {
      this.#paddingBytes = chunk[at]!;
      this.#missing -= 1;
      if (this.#paddingBytes > this.#missing) {
        throw new Http2Error(ErrorCode.PROTOCOL_ERROR, 'the padding is longer than its frame');
      }
      if (this.#missing === 0) this.#onFrameEnd(chunk);
      return at + 1;
    }
    const end = Math.min(at + this.#missing, chunk.length);
    const dataEnd = Math.min(at + this.#missing - this.#paddingBytes, end);
    this.#missing -= end - at;
    if (dataEnd > at) {
      const isAll = dataEnd - at === chunk.length;
      this.#sink.onDataPiece(isAll ? chunk : chunk.subarray(at, dataEnd));
    }
    if (this.#missing === 0) this.#onFrameEnd(chunk);
    return end;
  }

  #onFrameEnd(payload: Buffer): void {
    this.#missing = -1;
    this.#gathered = undefined;
    if (this.#type === FrameType.DATA) this.#sink.onDataEnd();
    else this.#sink.onFrame(this.#type, this.#flags, this.#streamId, payload);
  }
}
