import type { Socket } from 'node:net';
import {
  type CallHandler,
  frameHeaderBytes,
  Http2Call,
  maxFrameBytes,
  responseHead,
  trailers,
  writeDataHeader,
} from './http2-call.ts';
import { creditBytes, type FloorStream, type Tunnel, windowBytes } from './tunnel.ts';

/** Packet types of Konnectivity's proto/client.proto. */
const Type = {
  DIAL_REQ: 0,
  DIAL_RSP: 1,
  CLOSE_REQ: 2,
  CLOSE_RSP: 3,
  DATA: 4,
  DIAL_CLS: 5,
} as const;
/** Tags of protobuf: the number of a field, and whether it is a varint or bytes with a length. */
const Varint = { field1: 0x08, field2: 0x10, field3: 0x18 } as const;
const Bytes = { field1: 0x0a, field2: 0x12, field3: 0x1a, field4: 0x22, field6: 0x32 } as const;

/** The header of a gRPC message: a flag and the length. */
const messageHeaderBytes = 5;
/** No DATA packet has more bytes around its data. */
const mostHeadBytes = 32;
const mostDataBytes = maxFrameBytes - mostHeadBytes;
const connectId = 1;

const closeMessage = message([
  ...[Varint.field1, Type.CLOSE_RSP],
  ...[Bytes.field6, 2, Varint.field2, connectId],
]);
const closeFrames = Buffer.concat([dataFrame(closeMessage), trailers]);
const dialError = [...Buffer.from('dial tcp: connection refused')];

/** A client that calls Konnectivity's ProxyService on a connection of its own. */
export class GrpcClient implements FloorStream, CallHandler {
  readonly #tunnel: Tunnel;
  readonly #call: Http2Call;
  /** 0 before the DIAL_REQ. */
  #id = 0;
  /** The varint of the DIAL_REQ, which the DIAL_RSP repeats. */
  #random: readonly number[] = [];
  #isOpened = false;
  #hasSentFin = false;
  #isEnded = false;
  /** The received part of a packet. */
  #rest: Buffer | undefined;
  /** The missing bytes of a DATA packet. */
  #dataBytes = 0;
  #sendWindow = windowBytes;
  /** Bytes that left since the last credit. */
  #takenBytes = 0;
  /** Bytes that wait for the client. */
  #waitingBytes = 0;

  constructor(socket: Socket, tunnel: Tunnel) {
    this.#tunnel = tunnel;
    this.#call = new Http2Call(socket, this);
  }

  onBody(bytes: Buffer): void {
    let rest = this.#rest === undefined ? bytes : Buffer.concat([this.#rest, bytes]);
    this.#rest = undefined;
    while (rest.length > 0) {
      const used = this.#dataBytes > 0 ? this.#forward(rest) : this.#onPacket(rest);
      if (used === 0) {
        this.#rest = rest;
        break;
      }
      rest = rest.subarray(used);
    }
    if (this.#sendWindow > 0) this.#call.grant();
  }

  onRoom(): void {
    const bytes = this.#waitingBytes;
    this.#waitingBytes = 0;
    this.#credit(bytes);
  }

  onGone(): void {
    if (this.#id !== 0 && !this.#isEnded) this.#tunnel.reset(this.#id);
    this.#isEnded = true;
  }

  onOpened(): void {
    this.#isOpened = true;
    this.#answer([Varint.field2, connectId]);
  }

  onData(bytes: Buffer): boolean {
    for (let at = 0; at < bytes.length; at += mostDataBytes) {
      const frame = dataPacket(bytes.subarray(at, at + mostDataBytes));
      this.#call.write(frame, frame.length - frameHeaderBytes);
    }
    if (this.#call.hasRoom) this.#credit(bytes.length);
    else this.#waitingBytes += bytes.length;
    return false;
  }

  /** Konnectivity has no half-close: the end of the target ends the call. */
  onFin(): void {
    this.#isEnded = true;
    this.#call.write(closeFrames, closeMessage.length);
    if (!this.#hasSentFin) this.#tunnel.fin(this.#id);
    this.#tunnel.remove(this.#id);
  }

  onReset(): void {
    this.#isEnded = true;
    this.#tunnel.remove(this.#id);
    if (this.#isOpened) {
      this.#call.reset();
    } else {
      this.#answer([Bytes.field1, dialError.length, ...dialError]);
      this.#call.write(trailers, 0);
    }
  }

  onWindow(bytes: number): void {
    this.#sendWindow += bytes;
    if (this.#sendWindow > 0) this.#call.grant();
  }

  #credit(bytes: number): void {
    this.#takenBytes += bytes;
    if (this.#takenBytes < creditBytes) return;
    this.#tunnel.window(this.#id, this.#takenBytes);
    this.#takenBytes = 0;
  }

  /** Sends DIAL_RSP. */
  #answer(fields: readonly number[]): void {
    const random = this.#random.length === 0 ? [] : [Varint.field3, ...this.#random];
    const payload = [...fields, ...random];
    const packet = [Varint.field1, Type.DIAL_RSP, Bytes.field3, payload.length, ...payload];
    const bytes = message(packet);
    this.#call.write(Buffer.concat([responseHead, dataFrame(bytes)]), bytes.length);
  }

  /** @returns the number of forwarded bytes */
  #forward(bytes: Buffer): number {
    const part = bytes.subarray(0, this.#dataBytes);
    this.#dataBytes -= part.length;
    this.#sendWindow -= part.length;
    if (!this.#isEnded) this.#tunnel.data(this.#id, part);
    return part.length;
  }

  /** @returns the length of the packet, or of its part before the data of DATA, or 0 if bytes are missing */
  #onPacket(bytes: Buffer): number {
    if (bytes.length < messageHeaderBytes) return 0;
    const end = messageHeaderBytes + bytes.readUInt32BE(1);
    if (bytes.length < Math.min(end, mostHeadBytes)) return 0;
    const at = messageHeaderBytes;
    const type = bytes[at] === Varint.field1 ? bytes[at + 1] : Type.DIAL_REQ;
    if (type === Type.DATA) return this.#onDataHead(bytes, at + 2);
    if (bytes.length < end) return 0;
    if (type === Type.DIAL_REQ && this.#id === 0) this.#onDial(bytes, at, end);
    if (type === Type.CLOSE_REQ && !this.#hasSentFin && !this.#isEnded) {
      this.#hasSentFin = true;
      this.#tunnel.fin(this.#id);
    }
    if (type === Type.DIAL_CLS) this.onGone();
    return end;
  }

  /** Expects the fields in the order of their numbers, as protobuf's libraries write them. */
  #onDataHead(bytes: Buffer, from: number): number {
    readVarint(bytes, from + 1);
    let at = varintEnd;
    if (bytes[at] === Varint.field1) {
      readVarint(bytes, at + 1);
      at = varintEnd;
    }
    if (bytes[at] !== Bytes.field3) throw new Error('a DATA packet has unexpected fields');
    this.#dataBytes = readVarint(bytes, at + 1);
    return varintEnd;
  }

  #onDial(bytes: Buffer, from: number, end: number): void {
    readVarint(bytes, from + 1);
    let at = varintEnd;
    let address = bytes.subarray(0, 0);
    while (at < end) {
      const tag = bytes[at];
      const number = readVarint(bytes, at + 1);
      if (tag === Varint.field3) {
        this.#random = [...bytes.subarray(at + 1, varintEnd)];
        at = varintEnd;
      } else {
        const until = varintEnd + number;
        if (tag === Bytes.field2) address = bytes.subarray(varintEnd, until);
        at = until;
      }
    }
    this.#id = this.#tunnel.open(this, address);
  }
}

/** Where the last varint that was read ended. */
let varintEnd = 0;

/** A number of more than 31 bits is skipped, and its value is wrong. */
function readVarint(bytes: Buffer, from: number): number {
  let value = 0;
  let at = from;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++]!;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  varintEnd = at;
  return value;
}

function varintBytes(number: number): number {
  if (number < 1 << 7) return 1;
  return number < 1 << 14 ? 2 : 3;
}

/** @returns where the varint ends */
function writeVarint(buffer: Buffer, value: number, from: number): number {
  let rest = value;
  let at = from;
  while (rest > 0x7f) {
    buffer[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  buffer[at++] = rest;
  return at;
}

/** An HTTP/2 frame with a DATA packet. */
function dataPacket(data: Buffer): Buffer {
  const payloadBytes = 3 + varintBytes(data.length) + data.length;
  const packetBytes = 3 + varintBytes(payloadBytes) + payloadBytes;
  const buffer = Buffer.allocUnsafe(frameHeaderBytes + messageHeaderBytes + packetBytes);
  let at = writeDataHeader(buffer, messageHeaderBytes + packetBytes);
  buffer[at++] = 0;
  at = buffer.writeUInt32BE(packetBytes, at);
  buffer[at++] = Varint.field1;
  buffer[at++] = Type.DATA;
  buffer[at++] = Bytes.field4;
  at = writeVarint(buffer, payloadBytes, at);
  buffer[at++] = Varint.field1;
  buffer[at++] = connectId;
  buffer[at++] = Bytes.field3;
  at = writeVarint(buffer, data.length, at);
  data.copy(buffer, at);
  return buffer;
}

/** A gRPC message with a packet of less than 256 bytes. */
function message(packet: readonly number[]): Buffer {
  return Buffer.from([0, 0, 0, 0, packet.length, ...packet]);
}

function dataFrame(bytes: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(frameHeaderBytes + bytes.length);
  bytes.copy(frame, writeDataHeader(frame, bytes.length));
  return frame;
}
