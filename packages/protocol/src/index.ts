export { MemoryBudget } from './flow/memory-budget.ts';
export { isHttp2Stream, resetHttp2Stream, wasReset } from './relay/http2-reset.ts';
export { type RelayOptions, type RelayResult, relay } from './relay/relay.ts';
export { resetSocket } from './relay/reset-socket.ts';
export { Session, type SessionHandler, type SessionOptions } from './session/session.ts';
export type { OpeningHandler, StreamHandler, TunnelStream } from './session/stream.ts';
export { streamToDuplex } from './session/stream-duplex.ts';
export { DuplexTransport } from './transports/duplex-transport.ts';
export type { Transport, TransportKind, TransportSink } from './transports/transport.ts';
export {
  cleanText,
  codeFromWire,
  type ErrorCode,
  errorTable,
  TunnelError,
  toTunnelError,
} from './wire/errors.ts';
export { formatTarget, type Target } from './wire/frame.ts';
export type { Hello } from './wire/hello.ts';
