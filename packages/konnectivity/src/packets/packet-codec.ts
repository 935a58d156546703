import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { type Target, TunnelError } from '@fairlead/protocol';
import { MESSAGE_HEADER_BYTES } from './message-decoder.ts';
import { type ControlPacket, type Packet, type PacketType, packetTypes } from './packet.ts';

/** All fields of all payloads. */
interface Fields {
  protocol: string;
  address: string;
  error: string;
  connectId: bigint;
  random: bigint;
  data: Buffer;
}

/** Per packet type: the number of the payload's field in Packet, and the payload's fields from number 1 on. */
const payloads: Readonly<Record<PacketType, readonly [number, ...(keyof Fields)[]]>> = {
  DIAL_REQ: [2, 'protocol', 'address', 'random'],
  DIAL_RSP: [3, 'error', 'connectId', 'random'],
  DATA: [4, 'connectId', 'error', 'data'],
  CLOSE_REQ: [5, 'connectId'],
  CLOSE_RSP: [6, 'error', 'connectId'],
  DIAL_CLS: [7, 'random'],
  DRAIN: [8],
};

/** The payload's fields by the payload's number in Packet. */
const fieldsByPayload: (readonly (keyof Fields)[])[] = [];
for (const [number, ...fields] of Object.values(payloads)) fieldsByPayload[number] = fields;

const dataNumber = packetTypes.indexOf('DATA');
const empty = Buffer.alloc(0);
const headerRoom = new Uint8Array(MESSAGE_HEADER_BYTES);
/** `finish` resets it, so that one writer serves all packets. */
const writer = new BinaryWriter();

/** Encodes a packet as a whole gRPC message. `encodeDataHead` encodes DATA, without copying the payload. */
export function encodePacket(packet: ControlPacket): Buffer {
  const [number, ...fields] = payloads[packet.type];
  writer.raw(headerRoom);
  writeType(packetTypes.indexOf(packet.type));
  writer.tag(number, WireType.LengthDelimited).fork();
  const values: Partial<Fields> & { readonly type: PacketType } = packet;
  fields.forEach((name, index) => {
    const value = values[name];
    if (typeof value === 'bigint') writeInt64(index + 1, value);
    else if (value) writer.tag(index + 1, WireType.LengthDelimited).string(value as string);
  });
  return finish(writer.join(), 0);
}

/**
 * Encodes a DATA packet's gRPC message up to its payload, which must follow. The payload is the last field of the last
 * field, so nothing comes after it.
 * @param dataBytes length of the payload, above 0
 */
export function encodeDataHead(connectId: bigint, dataBytes: number): Buffer {
  writeInt64(1, connectId);
  const head = writer.tag(3, WireType.LengthDelimited).uint32(dataBytes).finish();
  writer.raw(headerRoom);
  writeType(dataNumber);
  writer.tag(payloads.DATA[0], WireType.LengthDelimited).uint32(head.length + dataBytes);
  return finish(writer.raw(head), dataBytes);
}

/** Proto3 leaves out fields with their default value. */
function writeType(number: number): void {
  if (number !== 0) writer.tag(1, WireType.Varint).int32(number);
}

function writeInt64(field: number, value: bigint): void {
  if (value !== 0n) writer.tag(field, WireType.Varint).int64(value);
}

/** @param bytesToFollow further bytes of the same message */
function finish(written: BinaryWriter, bytesToFollow: number): Buffer {
  const { buffer, byteOffset, byteLength } = written.finish();
  const message = Buffer.from(buffer, byteOffset, byteLength);
  message.writeUInt32BE(byteLength - MESSAGE_HEADER_BYTES + bytesToFollow, 1);
  return message;
}

/**
 * Decodes one `Packet`. Unknown fields are skipped, and absent ones have protobuf's defaults. If there are several
 * payloads, the last one counts, whatever the type says. `data` is a view of the message.
 *
 * It uses the library's wire reader directly: this creates two objects per packet, where reflection creates a dozen.
 *
 * @returns undefined for an unknown type
 * @throws TunnelError `frame_error` if the bytes are not a Packet
 */
export function decodePacket(message: Buffer): Packet | undefined {
  const fields: Fields = {
    protocol: '',
    address: '',
    error: '',
    connectId: 0n,
    random: 0n,
    data: empty,
  };
  let type = 0;
  try {
    const reader = new BinaryReader(message);
    while (reader.pos < reader.len) {
      const [number, wireType] = reader.tag();
      const names = fieldsByPayload[number];
      if (number === 1 && wireType === WireType.Varint) type = reader.int32();
      else if (names && wireType === WireType.LengthDelimited) readPayload(names, fields, reader);
      else reader.skip(wireType, number);
    }
  } catch (error) {
    throw new TunnelError('frame_error', 'a gRPC message is not a Packet', { cause: error });
  }
  return packetOf(type, fields);
}

function readPayload(names: readonly (keyof Fields)[], fields: Fields, reader: BinaryReader): void {
  const end = reader.uint32() + reader.pos;
  if (end > reader.len) throw new RangeError('a payload is longer than its message');
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    const name = names[number - 1];
    const isInteger = name === 'connectId' || name === 'random';
    if (!name || wireType !== (isInteger ? WireType.Varint : WireType.LengthDelimited)) {
      reader.skip(wireType, number);
    } else if (isInteger) {
      fields[name] = BigInt(reader.int64());
    } else if (name === 'data') {
      // A view of the message, which is a Buffer because the message is one.
      fields.data = reader.bytes() as Buffer;
    } else {
      fields[name] = reader.string();
    }
  }
  if (reader.pos !== end) throw new RangeError('a field is longer than its payload');
}

function packetOf(
  number: number,
  { protocol, address, error, connectId, random, data }: Fields,
): Packet | undefined {
  const type = packetTypes[number];
  switch (type) {
    case 'DIAL_REQ':
      return { type, protocol, address, random };
    case 'DIAL_RSP':
      return { type, error, connectId, random };
    case 'CLOSE_REQ':
      return { type, connectId };
    case 'CLOSE_RSP':
      return { type, error, connectId };
    case 'DATA':
      return { type, connectId, error, data };
    case 'DIAL_CLS':
      return { type, random };
    case 'DRAIN':
      return { type };
    case undefined:
      return undefined;
  }
}

const addressPattern = /^(?:\[(?<ipv6>[^\]]+)\]|(?<host>[^:]+)):(?<port>[1-9][0-9]{0,4})$/;

/**
 * Reads the address of a DIAL_REQ as Go's `net.SplitHostPort` does, with a port number.
 * @throws TunnelError `bad_target`
 */
export function parseAddress(address: string): Target {
  const { ipv6, host = ipv6, port: digits } = addressPattern.exec(address)?.groups ?? {};
  const port = Number(digits);
  if (host === undefined || host.length > 253 || !(port <= 65_535)) {
    const shown = JSON.stringify(address.slice(0, 64));
    throw new TunnelError('bad_target', `dial tcp: address ${shown}: want HOST:PORT`);
  }
  return { host, port };
}
