import { cleanText, TunnelError } from './errors.ts';
import { FrameType, HEADER_BYTES, MAX_HELLO_BYTES, MAX_TEXT_BYTES, type Target } from './frame.ts';

const SLAB_BYTES = 8192;

/**
 * Frames on their way out, as a list of buffers for one write. Headers and control frames are laid
 * into slabs; payloads are listed as they are, never copied. Neighbours in a slab leave as one buffer.
 */
export class FrameBatch {
  #buffers: Buffer[] = [];
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  /** Start of the part of the slab that is not listed yet. */
  #from = 0;
  #to = 0;
  #bytes = 0;

  /** Bytes of all frames in the batch. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Empties the batch into a list of buffers, in order. */
  take(): Buffer[] {
    this.#close();
    const buffers = this.#buffers;
    this.#buffers = [];
    this.#bytes = 0;
    return buffers;
  }

  hello(fields: object): void {
    const payload = Buffer.from(JSON.stringify(fields));
    if (payload.length > MAX_HELLO_BYTES) {
      throw new TunnelError('protocol_error', `HELLO of ${payload.length} bytes is too long`);
    }
    this.#header(FrameType.HELLO, payload.length, 0);
    this.#payload(payload);
  }

  open(streamId: number, { host, port }: Target): void {
    const hostBytes = Buffer.byteLength(host);
    const at = this.#header(FrameType.OPEN, 3 + hostBytes, streamId, 3 + hostBytes);
    this.#slab.writeUInt16BE(port, at);
    this.#slab[at + 2] = hostBytes;
    this.#slab.write(host, at + 3);
  }

  opened(streamId: number): void {
    this.#header(FrameType.OPENED, 0, streamId);
  }

  openFailed(streamId: number, error: TunnelError): void {
    const text = textBytes(error.message);
    const at = this.#header(FrameType.OPEN_FAILED, 2 + text.length, streamId, 2 + text.length);
    this.#slab.writeUInt16BE(error.wireCode, at);
    text.copy(this.#slab, at + 2);
  }

  /** The payload is listed, not copied, and must not change until it was sent. */
  data(streamId: number, payload: Buffer): void {
    this.#header(FrameType.DATA, payload.length, streamId);
    this.#payload(payload);
  }

  fin(streamId: number): void {
    this.#header(FrameType.FIN, 0, streamId);
  }

  reset(streamId: number, error: TunnelError): void {
    const at = this.#header(FrameType.RESET, 2, streamId, 2);
    this.#slab.writeUInt16BE(error.wireCode, at);
  }

  window(streamId: number, incrementBytes: number): void {
    const at = this.#header(FrameType.WINDOW, 4, streamId, 4);
    this.#slab.writeUInt32BE(incrementBytes, at);
  }

  /** @param mark returned by the peer's PONG */
  ping(mark: number): void {
    const at = this.#header(FrameType.PING, 8, 0, 8);
    this.#slab.writeUInt32BE(0, at);
    this.#slab.writeUInt32BE(mark, at + 4);
  }

  /**
   * @param opaque the 8 bytes of the PING
   * @param turnUs for how long this process was busy before it could answer (spec 7.5)
   */
  pong(opaque: Buffer, turnUs: number): void {
    const at = this.#header(FrameType.PONG, 12, 0, 12);
    opaque.copy(this.#slab, at, 0, 8);
    this.#slab.writeUInt32BE(Math.min(turnUs, 0xffff_ffff), at + 8);
  }

  goAway(error: TunnelError, lastStreamId: number): void {
    const text = textBytes(error.message);
    const at = this.#header(FrameType.GOAWAY, 6 + text.length, 0, 6 + text.length);
    this.#slab.writeUInt16BE(error.wireCode, at);
    this.#slab.writeUInt32BE(lastStreamId, at + 2);
    text.copy(this.#slab, at + 6);
  }

  /** Writes a header and reserves `room` bytes behind it in the slab; returns where they begin. */
  #header(type: FrameType, length: number, streamId: number, room = 0): number {
    const bytes = HEADER_BYTES + room;
    if (this.#to + bytes > SLAB_BYTES) {
      this.#close();
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#from = this.#to = 0;
    }
    const slab = this.#slab;
    let at = this.#to;
    slab[at++] = type;
    slab[at++] = 0;
    slab[at++] = length >>> 8;
    slab[at++] = length;
    slab[at++] = streamId >>> 24;
    slab[at++] = streamId >>> 16;
    slab[at++] = streamId >>> 8;
    slab[at++] = streamId;
    this.#to = at + room;
    this.#bytes += bytes;
    return at;
  }

  #payload(payload: Buffer): void {
    if (payload.length === 0) return;
    this.#close();
    this.#buffers.push(payload);
    this.#bytes += payload.length;
  }

  #close(): void {
    if (this.#to === this.#from) return;
    this.#buffers.push(this.#slab.subarray(this.#from, this.#to));
    this.#from = this.#to;
  }
}

/** The text as it goes on the wire: printable, at most 256 bytes, cut between characters. */
function textBytes(text: string): Buffer {
  const bytes = Buffer.from(cleanText(text, MAX_TEXT_BYTES));
  if (bytes.length <= MAX_TEXT_BYTES) return bytes;
  let end = MAX_TEXT_BYTES;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}
