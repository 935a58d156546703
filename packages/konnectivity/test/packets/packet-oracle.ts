import { create, createFileRegistry, fromBinary, type Message, toBinary } from '@bufbuild/protobuf';
import {
  DescriptorProtoSchema,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FieldDescriptorProtoSchema,
  FileDescriptorProtoSchema,
} from '@bufbuild/protobuf/wkt';
import { type Packet, packetTypes } from '@fairlead/konnectivity';

const { STRING, INT64, BYTES, INT32, MESSAGE } = FieldDescriptorProto_Type;

type Field = readonly [name: string, type: FieldDescriptorProto_Type, typeName?: string];

function message(name: string, fields: readonly Field[], oneofFrom = Number.POSITIVE_INFINITY) {
  return create(DescriptorProtoSchema, {
    name,
    field: fields.map(([fieldName, type, typeName], index) =>
      create(FieldDescriptorProtoSchema, {
        name: fieldName,
        jsonName: fieldName,
        number: index + 1,
        label: FieldDescriptorProto_Label.OPTIONAL,
        type,
        ...(typeName !== undefined && { typeName: `.${typeName}` }),
        ...(index + 1 >= oneofFrom && { oneofIndex: 0 }),
      }),
    ),
    ...(Number.isFinite(oneofFrom) && { oneofDecl: [{ name: 'payload' }] }),
  });
}

/**
 * The messages of client.proto as descriptors for the library's codec. Enums are declared as int32, which has the same
 * encoding.
 */
const file = create(FileDescriptorProtoSchema, {
  name: 'packet.proto',
  syntax: 'proto3',
  messageType: [
    message(
      'Packet',
      [
        ['type', INT32],
        ['dialRequest', MESSAGE, 'DialRequest'],
        ['dialResponse', MESSAGE, 'DialResponse'],
        ['data', MESSAGE, 'Data'],
        ['closeRequest', MESSAGE, 'CloseRequest'],
        ['closeResponse', MESSAGE, 'CloseResponse'],
        ['closeDial', MESSAGE, 'CloseDial'],
        ['drain', MESSAGE, 'Drain'],
      ],
      2,
    ),
    message('DialRequest', [
      ['protocol', STRING],
      ['address', STRING],
      ['random', INT64],
    ]),
    message('DialResponse', [
      ['error', STRING],
      ['connectID', INT64],
      ['random', INT64],
    ]),
    message('CloseRequest', [['connectID', INT64]]),
    message('CloseResponse', [
      ['error', STRING],
      ['connectID', INT64],
    ]),
    message('CloseDial', [['random', INT64]]),
    message('Drain', []),
    message('Data', [
      ['connectID', INT64],
      ['error', STRING],
      ['data', BYTES],
    ]),
  ],
});

const schema = createFileRegistry(file, () => undefined).getMessage('Packet')!;

interface OraclePacket extends Message {
  type: number;
  payload: { case?: string; value?: Record<string, unknown> };
}

const payloadNames: Readonly<Record<Packet['type'], string>> = {
  DIAL_REQ: 'dialRequest',
  DIAL_RSP: 'dialResponse',
  CLOSE_REQ: 'closeRequest',
  CLOSE_RSP: 'closeResponse',
  DATA: 'data',
  DIAL_CLS: 'closeDial',
  DRAIN: 'drain',
};

/** Encodes a packet with the library, without the gRPC header. */
export function encodeByOracle(packet: Packet): Buffer {
  const { type, ...fields } = packet;
  const { connectId, ...rest } = fields as Record<string, unknown>;
  const name = payloadNames[type];
  const field = schema.fields.find((candidate) => candidate.localName === name)!;
  const value = create(field.message!, {
    ...rest,
    ...(connectId !== undefined && { connectID: connectId }),
  });
  const whole = create(schema, {
    type: packetTypes.indexOf(type),
    payload: { case: name, value },
  } as never);
  return Buffer.from(toBinary(schema, whole));
}

/** Decodes the fields of a packet with the library. */
export function decodeByOracle(bytes: Buffer): Record<string, unknown> {
  const { type, payload } = fromBinary(schema, bytes) as OraclePacket;
  const { $typeName, connectID, data, ...rest } = payload.value ?? {};
  return {
    type: packetTypes[type],
    ...rest,
    ...(connectID !== undefined && { connectId: connectID }),
    ...(data !== undefined && { data: Buffer.from(data as Uint8Array) }),
  };
}
