import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { MESSAGE_HEADER_BYTES } from './message-decoder.ts';
import { type Packet, packetTypes } from './packet.ts';

type SmallPacket = Exclude<Packet, { readonly type: 'DATA' }>;

/** Packet's field for each payload. */
const payloadFields: Readonly<Record<SmallPacket['type'], number>> = {
  DIAL_REQ: 2,
  DIAL_RSP: 3,
  CLOSE_REQ: 5,
  CLOSE_RSP: 6,
  DIAL_CLS: 7,
  DRAIN: 8,
};
const dataField = 4;
const dataType = packetTypes.indexOf('DATA');

/** `finish` leaves it as new, so that one serves all. */
const writer = new BinaryWriter();
const headerRoom = new Uint8Array(MESSAGE_HEADER_BYTES);

/** A packet as a whole gRPC message. DATA has an encoder of its own, which copies no payload. */
export function encodePacket(packet: SmallPacket): Buffer {
  writer.raw(headerRoom);
  writeType(packetTypes.indexOf(packet.type));
  writer.tag(payloadFields[packet.type], WireType.LengthDelimited).fork();
  switch (packet.type) {
    case 'DIAL_REQ':
      writeString(1, packet.protocol);
      writeString(2, packet.address);
      writeInt64(3, packet.random);
      break;
    case 'DIAL_RSP':
      writeString(1, packet.error);
      writeInt64(2, packet.connectId);
      writeInt64(3, packet.random);
      break;
    case 'CLOSE_REQ':
      writeInt64(1, packet.connectId);
      break;
    case 'CLOSE_RSP':
      writeString(1, packet.error);
      writeInt64(2, packet.connectId);
      break;
    case 'DIAL_CLS':
      writeInt64(1, packet.random);
      break;
    case 'DRAIN':
      break;
  }
  return finish(writer.join(), 0);
}

/**
 * All of a DATA packet's gRPC message but its payload, which must follow it. The payload is the last
 * field of the last field, so that nothing comes behind.
 * @param dataBytes length of the payload, above 0
 */
export function encodeDataHead(connectId: bigint, dataBytes: number): Buffer {
  writeInt64(1, connectId);
  const head = writer.tag(3, WireType.LengthDelimited).uint32(dataBytes).finish();
  writer.raw(headerRoom);
  writeType(dataType);
  writer.tag(dataField, WireType.LengthDelimited).uint32(head.length + dataBytes);
  return finish(writer.raw(head), dataBytes);
}

/** Proto3 leaves out what has its default. */
function writeType(number: number): void {
  if (number !== 0) writer.tag(1, WireType.Varint).int32(number);
}

function writeString(field: number, value: string): void {
  if (value !== '') writer.tag(field, WireType.LengthDelimited).string(value);
}

function writeInt64(field: number, value: bigint): void {
  if (value !== 0n) writer.tag(field, WireType.Varint).int64(value);
}

/** @param bytesToFollow of the same message */
function finish(written: BinaryWriter, bytesToFollow: number): Buffer {
  const { buffer, byteOffset, byteLength } = written.finish();
  const message = Buffer.from(buffer, byteOffset, byteLength);
  message.writeUInt32BE(byteLength - MESSAGE_HEADER_BYTES + bytesToFollow, 1);
  return message;
}
