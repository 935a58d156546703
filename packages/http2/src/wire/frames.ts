/** Frame types (RFC 9113 section 6). */
export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

export const Flag = {
  END_STREAM: 0x1,
  ACK: 0x1,
  END_HEADERS: 0x4,
  PADDED: 0x8,
  PRIORITY: 0x20,
} as const;

/** RFC 9113 section 6.5.2. */
export const Setting = {
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
} as const;

/** RFC 9113 section 7. */
export const ErrorCode = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  SETTINGS_TIMEOUT: 4,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  CONNECT_ERROR: 10,
  ENHANCE_YOUR_CALM: 11,
} as const;

export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

const errorNames = new Map(Object.entries(ErrorCode).map(([name, code]) => [code as number, name]));

/** Why a stream or a connection ended. */
export class Http2Error extends Error {
  /** A code of RFC 9113 section 7, or one that the peer made up. */
  readonly code: number;

  constructor(code: number, message = `HTTP/2 error ${errorNames.get(code) ?? code}`) {
    super(message);
    this.name = 'Http2Error';
    this.code = code;
  }
}

/** A client's first bytes (RFC 9113 section 3.4). */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export const FRAME_HEADER_BYTES = 9;
/** The longest payload that both sides accept unless SETTINGS say otherwise. We never ask for more. */
export const FRAME_BYTES = 16_384;
export const DEFAULT_WINDOW_BYTES = 65_535;
export const MAX_WINDOW_BYTES = 2 ** 31 - 1;

/** @returns where the payload begins */
export function writeFrameHeader(
  buffer: Buffer,
  at: number,
  [length, type, flags, streamId]: readonly [number, number, number, number],
): number {
  buffer.writeUIntBE(length, at, 3);
  buffer[at + 3] = type;
  buffer[at + 4] = flags;
  buffer.writeUInt32BE(streamId, at + 5);
  return at + FRAME_HEADER_BYTES;
}

/** The stream of a frame; 0 is the connection. */
export function streamIdOf(frame: Buffer): number {
  return frame.readUInt32BE(5);
}

/** A whole frame. */
export function encodeFrame(
  type: number,
  flags: number,
  streamId: number,
  payload: Buffer,
): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length);
  payload.copy(frame, writeFrameHeader(frame, 0, [payload.length, type, flags, streamId]));
  return frame;
}

/** A frame whose payload is 32-bit numbers. */
export function encodeNumbers(
  type: number,
  flags: number,
  streamId: number,
  ...numbers: number[]
): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + 4 * numbers.length);
  let at = writeFrameHeader(frame, 0, [4 * numbers.length, type, flags, streamId]);
  for (const number of numbers) at = frame.writeUInt32BE(number, at);
  return frame;
}

/** @param lastId the last stream that was served @param reason latin1 */
export function encodeGoAway(lastId: number, code: number, reason: string): Buffer {
  const payload = Buffer.alloc(8 + reason.length);
  payload.writeUInt32BE(lastId, 0);
  payload.writeUInt32BE(code, 4);
  payload.write(reason, 8, 'latin1');
  return encodeFrame(FrameType.GOAWAY, 0, 0, payload);
}
