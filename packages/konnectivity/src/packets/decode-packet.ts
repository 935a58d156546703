import { BinaryReader } from '@bufbuild/protobuf/wire';
import { TunnelError } from '@fairlead/protocol';
import { type Packet, packetTypes } from './packet.ts';

const empty = Buffer.alloc(0);

/** What the fields of any payload can hold; each message has its own numbers for them. */
interface Fields {
  protocol: string;
  address: string;
  error: string;
  connectId: bigint;
  random: bigint;
  data: Buffer;
}

type FieldReader = (fields: Fields, reader: BinaryReader) => void;

const readProtocol: FieldReader = (fields, reader) => {
  fields.protocol = reader.string();
};
const readAddress: FieldReader = (fields, reader) => {
  fields.address = reader.string();
};
const readError: FieldReader = (fields, reader) => {
  fields.error = reader.string();
};
const readConnectId: FieldReader = (fields, reader) => {
  fields.connectId = BigInt(reader.int64());
};
const readRandom: FieldReader = (fields, reader) => {
  fields.random = BigInt(reader.int64());
};
const readData: FieldReader = (fields, reader) => {
  // A view of the message's bytes, which is a Buffer because the message is one.
  fields.data = reader.bytes() as Buffer;
};

/** Per field of Packet's payload, from 2 on: the fields of that message, from 1 on. */
const payloads: readonly (readonly FieldReader[])[] = [
  [readProtocol, readAddress, readRandom],
  [readError, readConnectId, readRandom],
  [readConnectId, readError, readData],
  [readConnectId],
  [readError, readConnectId],
  [readRandom],
  [],
];

const wireTypes = new Map<FieldReader, number>([
  [readConnectId, 0],
  [readRandom, 0],
]);
const lengthDelimited = 2;

/**
 * Reads one `Packet`. Unknown fields are skipped; what is absent has protobuf's defaults; of several
 * payloads the last one counts, whatever the type says. `data` is a view of the message.
 *
 * By hand on the library's wire reader: two objects a packet, where its reflection makes a dozen.
 *
 * @returns undefined for a type that is not known
 * @throws TunnelError `frame_error` for bytes that are no such message
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
      const payload = payloads[number - 2];
      if (number === 1 && wireType === 0) type = reader.int32();
      else if (payload && wireType === lengthDelimited) readPayload(payload, fields, reader);
      else reader.skip(wireType, number);
    }
  } catch (error) {
    throw new TunnelError('frame_error', 'a gRPC message is no Packet', { cause: error });
  }
  return packetOf(type, fields);
}

function readPayload(payload: readonly FieldReader[], fields: Fields, reader: BinaryReader): void {
  const end = reader.uint32() + reader.pos;
  if (end > reader.len) throw new RangeError('a payload is longer than its message');
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    const read = payload[number - 1];
    if (read && wireType === (wireTypes.get(read) ?? lengthDelimited)) read(fields, reader);
    else reader.skip(wireType, number);
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
