/**
 * The protobuf and gRPC encoding of the messages that a client of Konnectivity's front end needs. It is
 * written by hand, because a general codec would make the load generator the slowest part of a
 * measurement.
 */
import { authorityOf, type TcpAddress } from './route.ts';

const grpcHeadBytes = 5;
const packetType = { dialRequest: 0, dialResponse: 1, closeRequest: 2, closeResponse: 3, data: 4 };
/** Keys of Packet's fields: number and wire type. */
const typeKey = 0x08;
const dialRequestKey = 0x12;
const closeRequestKey = 0x2a;
const dataKey = 0x22;
/** Field keys within the messages. */
const firstVarint = 0x08;
const firstBytes = 0x0a;
const secondBytes = 0x12;
const thirdBytes = 0x1a;
const thirdVarint = 0x18;

export function encodeDialRequest(target: TcpAddress, random: number): Buffer {
  const message = [
    ...text(firstBytes, 'tcp'),
    ...text(secondBytes, authorityOf(target)),
    thirdVarint,
    ...varint(random),
  ];
  const { dialRequest } = packetType;
  return frame([typeKey, dialRequest, dialRequestKey, ...varint(message.length), ...message], 0);
}

export function encodeCloseRequest(connectId: number): Buffer {
  const message = [firstVarint, ...varint(connectId)];
  const { closeRequest } = packetType;
  return frame([typeKey, closeRequest, closeRequestKey, ...varint(message.length), ...message], 0);
}

/** The bytes of a DATA packet that precede `length` bytes of payload. */
export function encodeDataHead(connectId: number, length: number): Buffer {
  const message = [firstVarint, ...varint(connectId), thirdBytes, ...varint(length)];
  const head = [typeKey, packetType.data, dataKey, ...varint(message.length + length), ...message];
  return frame(head, length);
}

/** @param following payload bytes that are sent separately; the gRPC length includes them */
function frame(packet: readonly number[], following: number): Buffer {
  const head = Buffer.alloc(grpcHeadBytes);
  head.writeUInt32BE(packet.length + following, 1);
  return Buffer.concat([head, Buffer.from(packet)]);
}

function text(key: number, value: string): number[] {
  const bytes = Buffer.from(value);
  return [key, ...varint(bytes.length), ...bytes];
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return bytes;
}

/** Receives the packets of the server. */
export interface PacketHandler {
  onDialResponse(connectId: number, error: string): void;
  onData(payload: Buffer): void;
  onCloseResponse(error: string): void;
}

/** Splits the bytes of a gRPC stream into packets. */
export class PacketReader {
  readonly #handler: PacketHandler;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(handler: PacketHandler) {
    this.#handler = handler;
  }

  push(chunk: Buffer): void {
    let bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    while (bytes.length >= grpcHeadBytes) {
      const end = grpcHeadBytes + bytes.readUInt32BE(1);
      if (bytes.length < end) break;
      this.#onPacket(bytes.subarray(grpcHeadBytes, end));
      bytes = bytes.subarray(end);
    }
    this.#bytes = bytes;
  }

  #onPacket(packet: Buffer): void {
    const { numbers, blobs } = fields(packet);
    const message = fields([...blobs.values()][0] ?? Buffer.alloc(0));
    const connectId = message.numbers.get(2) ?? 0;
    const error = message.blobs.get(1)?.toString() ?? '';
    // Proto3 omits a type of 0, which is DIAL_REQ. A server does not send it.
    switch (numbers.get(1)) {
      case packetType.dialResponse:
        return this.#handler.onDialResponse(connectId, error);
      case packetType.closeResponse:
        return this.#handler.onCloseResponse(error);
      case packetType.data:
        return this.#handler.onData(message.blobs.get(3) ?? Buffer.alloc(0));
    }
  }
}

/** The fields of a message by number. Varints above 2^53 lose digits. */
function fields(bytes: Buffer) {
  const found = { numbers: new Map<number, number>(), blobs: new Map<number, Buffer>() };
  let at = 0;
  const read = () => {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = bytes[at++] ?? 0;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
  };
  while (at < bytes.length) {
    const key = read();
    const number = key >>> 3;
    const value = read();
    if ((key & 7) === 0) found.numbers.set(number, value);
    else {
      found.blobs.set(number, bytes.subarray(at, at + value));
      at += value;
    }
  }
  return found;
}
