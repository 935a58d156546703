import type { Socket } from 'node:net';
import { creditBytes, windowBytes } from './tunnel.ts';

/** RFC 9113, section 6. Frames of other types are skipped, also the HEADERS of the request. */
const Type = {
  DATA: 0,
  HEADERS: 1,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  WINDOW_UPDATE: 8,
} as const;
const Flag = { END_STREAM: 1, ACK: 1, END_HEADERS: 4 } as const;
const initialWindowSetting = 4;
const settingBytes = 6;
const prefaceBytes = 24;
const defaultWindowBytes = 65_535;
/** Each connection carries one call. */
const callId = 1;
const internalError = 2;

export const frameHeaderBytes = 9;
/** Every peer accepts a DATA frame of this length. */
export const maxFrameBytes = 16_384;

const nothing = Buffer.alloc(0);

/** The server's first bytes. They acknowledge the client's first SETTINGS. */
const start = Buffer.concat([
  frame(Type.SETTINGS, 0, 0, Buffer.from([0, initialWindowSetting, ...uint32(windowBytes)])),
  frame(Type.WINDOW_UPDATE, 0, 0, uint32(windowBytes - defaultWindowBytes)),
  frame(Type.SETTINGS, Flag.ACK, 0, nothing),
]);
const settingsAck = frame(Type.SETTINGS, Flag.ACK, 0, nothing);
const reset = frame(Type.RST_STREAM, 0, callId, uint32(internalError));
/** `:status: 200`, `content-type: application/grpc` (RFC 7541: an index, and a literal with an indexed name). */
export const responseHead = frame(
  Type.HEADERS,
  Flag.END_HEADERS,
  callId,
  Buffer.from('\x88\x0f\x10\x10application/grpc', 'latin1'),
);
/** `grpc-status: 0`, a literal. */
export const trailers = frame(
  Type.HEADERS,
  Flag.END_HEADERS | Flag.END_STREAM,
  callId,
  Buffer.from('\x00\x0bgrpc-status\x010', 'latin1'),
);

export interface CallHandler {
  onBody(bytes: Buffer): void;
  /** The bytes that `hasRoom` denied have left. */
  onRoom(): void;
  /** The client ended the connection, or reset the call. */
  onGone(): void;
}

/** An HTTP/2 connection that carries one call. */
export class Http2Call {
  readonly #socket: Socket;
  readonly #handler: CallHandler;
  /** The received part of the preface or of a frame other than DATA. */
  #rest: Buffer | undefined;
  #hasPreface = false;
  #hasSettings = false;
  #hasSentStart = false;
  /** The missing bytes of a DATA frame. */
  #bodyBytes = 0;
  /** Bytes of DATA since the last `grant`. */
  #receivedBytes = 0;
  #callWindow = defaultWindowBytes;
  #connectionWindow = defaultWindowBytes;
  #initialWindow = defaultWindowBytes;
  /** Frames that wait for the client's window. */
  readonly #waiting: { readonly frames: Buffer; readonly dataBytes: number }[] = [];

  constructor(socket: Socket, handler: CallHandler) {
    this.#socket = socket;
    this.#handler = handler;
    socket.on('data', (bytes) => this.#receive(bytes));
    socket.on('end', () => this.#onGone());
    socket.on('error', () => this.#onGone());
  }

  /** Whether few written bytes wait. If not, `onRoom` follows. */
  get hasRoom(): boolean {
    return this.#waiting.length === 0 && !this.#isSocketFull;
  }

  /** @param dataBytes how many bytes of DATA the frames have; at most `maxFrameBytes` */
  write(frames: Buffer, dataBytes: number): void {
    if (this.#waiting.length > 0 || !this.#takeWindow(dataBytes)) {
      this.#waiting.push({ frames, dataBytes });
    } else {
      this.#send(frames);
    }
  }

  reset(): void {
    this.#waiting.length = 0;
    this.#send(reset);
  }

  /** Lets the client send as much again as it has sent, if that is worth two frames. */
  grant(): void {
    const bytes = this.#receivedBytes;
    if (bytes < creditBytes) return;
    this.#receivedBytes = 0;
    const increment = uint32(bytes);
    this.#send(
      Buffer.concat([
        frame(Type.WINDOW_UPDATE, 0, 0, increment),
        frame(Type.WINDOW_UPDATE, 0, callId, increment),
      ]),
    );
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Whether a 'drain' follows. */
  get #isSocketFull(): boolean {
    return this.#socket.writableNeedDrain && this.#socket.writableLength > 0;
  }

  #send(frames: Buffer): void {
    const isFirst = !this.#hasSentStart;
    this.#hasSentStart = true;
    this.#socket.write(isFirst ? Buffer.concat([start, frames]) : frames);
    if (this.#isSocketFull && this.#socket.listenerCount('drain') === 0) {
      this.#socket.once('drain', () => this.#tellRoom());
    }
  }

  #receive(chunk: Buffer): void {
    const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = undefined;
    const end = bytes.length;
    let at = 0;
    if (!this.#hasPreface && end >= prefaceBytes) {
      this.#hasPreface = true;
      at = prefaceBytes;
    }
    let hasBody = false;
    while (this.#hasPreface && at < end) {
      if (this.#bodyBytes > 0) {
        const until = Math.min(at + this.#bodyBytes, end);
        this.#bodyBytes -= until - at;
        hasBody = true;
        this.#handler.onBody(bytes.subarray(at, until));
        at = until;
        continue;
      }
      if (end - at < frameHeaderBytes) break;
      const length = bytes.readUIntBE(at, 3);
      const payloadAt = at + frameHeaderBytes;
      if (bytes[at + 3] === Type.DATA) {
        this.#bodyBytes = length;
        this.#receivedBytes += length;
        at = payloadAt;
      } else {
        if (payloadAt + length > end) break;
        this.#onFrame(bytes, at, length);
        at = payloadAt + length;
      }
    }
    if (at < end) this.#rest = bytes.subarray(at);
    // If the request is here already, one write carries the start and the answer.
    if (this.#hasSettings && !this.#hasSentStart && !hasBody) this.#send(nothing);
  }

  #onFrame(bytes: Buffer, at: number, length: number): void {
    const isAck = (bytes[at + 4]! & Flag.ACK) !== 0;
    const payloadAt = at + frameHeaderBytes;
    switch (bytes[at + 3]) {
      case Type.SETTINGS:
        if (!isAck) this.#onSettings(bytes.subarray(payloadAt, payloadAt + length));
        break;
      case Type.WINDOW_UPDATE: {
        const increment = bytes.readUInt32BE(payloadAt);
        if (bytes.readUInt32BE(at + 5) === 0) this.#connectionWindow += increment;
        else this.#callWindow += increment;
        this.#sendWaiting();
        break;
      }
      case Type.PING:
        if (!isAck) {
          const payload = bytes.subarray(payloadAt, payloadAt + length);
          this.#send(frame(Type.PING, Flag.ACK, 0, payload));
        }
        break;
      case Type.RST_STREAM:
        this.#onGone();
        break;
    }
  }

  #onSettings(payload: Buffer): void {
    for (let at = 0; at < payload.length; at += settingBytes) {
      if (payload.readUInt16BE(at) !== initialWindowSetting) continue;
      const bytes = payload.readUInt32BE(at + 2);
      this.#callWindow += bytes - this.#initialWindow;
      this.#initialWindow = bytes;
    }
    if (this.#hasSettings) this.#send(settingsAck);
    this.#hasSettings = true;
    this.#sendWaiting();
  }

  #sendWaiting(): void {
    if (this.#waiting.length === 0) return;
    while (this.#waiting.length > 0 && this.#takeWindow(this.#waiting[0]!.dataBytes)) {
      this.#send(this.#waiting.shift()!.frames);
    }
    this.#tellRoom();
  }

  #tellRoom(): void {
    if (this.hasRoom) this.#handler.onRoom();
  }

  #takeWindow(bytes: number): boolean {
    if (bytes > this.#callWindow || bytes > this.#connectionWindow) return false;
    this.#callWindow -= bytes;
    this.#connectionWindow -= bytes;
    return true;
  }

  #onGone(): void {
    this.#socket.destroy();
    this.#handler.onGone();
  }
}

/** @returns where the payload begins */
export function writeDataHeader(buffer: Buffer, length: number): number {
  return writeHeader(buffer, [length, Type.DATA, 0, callId]);
}

function writeHeader(
  buffer: Buffer,
  [length, type, flags, streamId]: readonly [number, number, number, number],
): number {
  buffer[0] = length >>> 16;
  buffer[1] = length >>> 8;
  buffer[2] = length;
  buffer[3] = type;
  buffer[4] = flags;
  return buffer.writeUInt32BE(streamId, 5);
}

function frame(type: number, flags: number, streamId: number, payload: Buffer): Buffer {
  const buffer = Buffer.allocUnsafe(frameHeaderBytes + payload.length);
  payload.copy(buffer, writeHeader(buffer, [payload.length, type, flags, streamId]));
  return buffer;
}

function uint32(number: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(number);
  return bytes;
}
