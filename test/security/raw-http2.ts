import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** Types of HTTP/2 frames (RFC 9113 section 6). */
export const Http2Frame = {
  DATA: 0,
  HEADERS: 1,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  WINDOW_UPDATE: 8,
} as const;

export function http2Frame(type: number, flags: number, streamId: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(streamId, 5);
  return Buffer.concat([header, payload]);
}

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

/** A header field as HPACK's literal without indexing, name and value up to 126 bytes. */
function literal(name: string, value: string): Buffer {
  return Buffer.concat([
    Buffer.from([0, name.length]),
    Buffer.from(name),
    Buffer.from([Buffer.byteLength(value)]),
    Buffer.from(value),
  ]);
}

const END_HEADERS = 4;
const ACK = 1;

/** HEADERS of a request without END_STREAM. */
export function http2Request(streamId: number, headers: Readonly<Record<string, string>>): Buffer {
  const block = Object.entries(headers).map(([name, value]) => literal(name, value));
  return http2Frame(Http2Frame.HEADERS, END_HEADERS, streamId, Buffer.concat(block));
}

export function http2Reset(streamId: number): Buffer {
  return http2Frame(Http2Frame.RST_STREAM, 0, streamId, uint32(8));
}

/** Connection preface and SETTINGS, with the largest possible windows. */
export function http2Greeting(): Buffer {
  const initialWindow = Buffer.concat([Buffer.from([0, 4]), uint32(2 ** 31 - 1)]);
  return Buffer.concat([
    preface,
    http2Frame(Http2Frame.SETTINGS, 0, 0, initialWindow),
    http2Frame(Http2Frame.WINDOW_UPDATE, 0, 0, uint32(2 ** 31 - 1 - 65_535)),
    // Acknowledges the server's SETTINGS in advance.
    http2Frame(Http2Frame.SETTINGS, ACK, 0, Buffer.alloc(0)),
  ]);
}

/** Connects to a Unix domain socket and does not read. */
export async function openSocket(path: string): Promise<Socket> {
  const socket = createConnection(path);
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}
