/** The constants of docs/spec.md, section 1. */

export const HEADER_BYTES = 8;
export const MAX_PAYLOAD_BYTES = 0xffff;
export const MAX_HELLO_BYTES = 16_384;
export const MAX_TEXT_BYTES = 256;
/** The longest host in OPEN (spec 3.4). */
export const MAX_HOST_BYTES = 253;
export const MAX_STREAM_ID = 0x7fff_ffff;
export const MAX_CREDIT_BYTES = 0x7fff_ffff;

/** Credit of each direction of a new stream (spec 4.1). */
export const INITIAL_WINDOW_BYTES = 65_536;

/** Payload of a full DATA frame: header and payload fill two TLS records of 16,384 bytes (spec 1.7). */
export const DATA_FRAME_BYTES = 2 * 16_384 - HEADER_BYTES;

export const PING_FRAME_BYTES = HEADER_BYTES + 8;

export const FrameType = {
  HELLO: 1,
  OPEN: 2,
  OPENED: 3,
  OPEN_FAILED: 4,
  DATA: 5,
  FIN: 6,
  RESET: 7,
  WINDOW: 8,
  PING: 9,
  PONG: 10,
  GOAWAY: 11,
} as const;

/** The host and port that the agent dials. */
export interface Target {
  /** IPv4 address, IPv6 address without brackets, or name. */
  readonly host: string;
  /** 1 to 65,535. */
  readonly port: number;
}

/** Whether OPEN can carry the target (spec 3.4). */
export function isSendable({ host, port }: Target): boolean {
  const hostBytes = Buffer.byteLength(host);
  if (hostBytes === 0 || hostBytes > MAX_HOST_BYTES) return false;
  return Number.isInteger(port) && port >= 1 && port <= 65_535;
}

/** The target as `host:port`, with brackets around an IPv6 address. */
export function formatTarget({ host, port }: Target): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
