import { cleanText, TunnelError } from './errors.ts';
import { FrameType, HEADER_BYTES, MAX_HELLO_BYTES, MAX_TEXT_BYTES, type Target } from './frame.ts';
import { releaseFrameBuffer, takeFrameBuffer } from './frame-buffer.ts';

const EMPTY: Buffer = Buffer.alloc(0);

/**
 * Outgoing frames, one after the other in one buffer (frame-buffer.ts gives the reason). This is the only place where
 * payload is copied.
 */
export class FrameBatch {
  #buffer: Buffer = EMPTY;
  #to = 0;

  /** Bytes of all frames in the batch. */
  get bytes(): number {
    return this.#to;
  }

  /**
   * Empties the batch.
   * @returns its frames: the first `bytes` bytes of `buffer`, which the caller returns with `releaseFrameBuffer`
   */
  take(): { readonly buffer: Buffer; readonly bytes: number } {
    const taken = { buffer: this.#buffer, bytes: this.#to };
    this.#buffer = EMPTY;
    this.#to = 0;
    return taken;
  }

  hello(fields: object): void {
    const payload = Buffer.from(JSON.stringify(fields));
    if (payload.length > MAX_HELLO_BYTES) {
      throw new TunnelError('protocol_error', `HELLO of ${payload.length} bytes is too long`);
    }
    const at = this.#header(FrameType.HELLO, payload.length, 0);
    payload.copy(this.#buffer, at);
  }

  open(streamId: number, { host, port }: Target): void {
    const hostBytes = Buffer.byteLength(host);
    const at = this.#header(FrameType.OPEN, 3 + hostBytes, streamId);
    this.#buffer.writeUInt16BE(port, at);
    this.#buffer[at + 2] = hostBytes;
    this.#buffer.write(host, at + 3);
  }

  opened(streamId: number): void {
    this.#header(FrameType.OPENED, 0, streamId);
  }

  openFailed(streamId: number, error: TunnelError): void {
    const text = textBytes(error.message);
    const at = this.#header(FrameType.OPEN_FAILED, 2 + text.length, streamId);
    this.#buffer.writeUInt16BE(error.wireCode, at);
    text.copy(this.#buffer, at + 2);
  }

  /** @param source copies its next `bytes` bytes to the buffer at `at` */
  data(
    streamId: number,
    source: { takeInto(buffer: Buffer, at: number, bytes: number): void },
    bytes: number,
  ): void {
    const at = this.#header(FrameType.DATA, bytes, streamId);
    source.takeInto(this.#buffer, at, bytes);
  }

  fin(streamId: number): void {
    this.#header(FrameType.FIN, 0, streamId);
  }

  reset(streamId: number, error: TunnelError): void {
    const at = this.#header(FrameType.RESET, 2, streamId);
    this.#buffer.writeUInt16BE(error.wireCode, at);
  }

  window(streamId: number, incrementBytes: number): void {
    const at = this.#header(FrameType.WINDOW, 4, streamId);
    this.#buffer.writeUInt32BE(incrementBytes, at);
  }

  /** @param mark the number that the peer's PONG repeats */
  ping(mark: number): void {
    const at = this.#header(FrameType.PING, 8, 0);
    this.#buffer.writeUInt32BE(0, at);
    this.#buffer.writeUInt32BE(mark, at + 4);
  }

  /**
   * @param opaque the 8 bytes of the PING
   * @param busyUs how long this process was busy before it could answer, in microseconds (spec 7.5)
   */
  pong(opaque: Buffer, busyUs: number): void {
    const at = this.#header(FrameType.PONG, 12, 0);
    opaque.copy(this.#buffer, at);
    this.#buffer.writeUInt32BE(Math.min(busyUs, 0xffff_ffff), at + 8);
  }

  goAway(error: TunnelError, lastStreamId: number): void {
    const text = textBytes(error.message);
    const at = this.#header(FrameType.GOAWAY, 6 + text.length, 0);
    this.#buffer.writeUInt16BE(error.wireCode, at);
    this.#buffer.writeUInt32BE(lastStreamId, at + 2);
    text.copy(this.#buffer, at + 6);
  }

  /** Writes a header and makes room for `length` bytes of payload. @returns where the payload begins */
  #header(type: number, length: number, streamId: number): number {
    const end = this.#to + HEADER_BYTES + length;
    if (end > this.#buffer.length) this.#grow(end);
    const buffer = this.#buffer;
    let at = this.#to;
    buffer[at++] = type;
    buffer[at++] = 0;
    buffer[at++] = length >>> 8;
    buffer[at++] = length;
    buffer[at++] = streamId >>> 24;
    buffer[at++] = streamId >>> 16;
    buffer[at++] = streamId >>> 8;
    buffer[at++] = streamId;
    this.#to = end;
    return at;
  }

  #grow(bytes: number): void {
    const old = this.#buffer;
    this.#buffer = takeFrameBuffer(bytes);
    old.copy(this.#buffer, 0, 0, this.#to);
    releaseFrameBuffer(old);
  }
}

/** The text for the wire: printable, at most 256 bytes, cut between characters. */
function textBytes(text: string): Buffer {
  const bytes = Buffer.from(cleanText(text, MAX_TEXT_BYTES));
  let end = MAX_TEXT_BYTES;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}

/** The final GOAWAY for a peer that is refused before it has a session (spec 10.4), as a whole frame. */
export function refusalFrame(error: TunnelError): Buffer {
  const batch = new FrameBatch();
  batch.goAway(error, 0);
  const { buffer, bytes } = batch.take();
  return buffer.subarray(0, bytes);
}
