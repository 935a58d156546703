export { DuplexTransport } from './duplex-transport.ts';
export {
  cleanText,
  codeFromWire,
  type ErrorCode,
  errorTable,
  TunnelError,
  toTunnelError,
} from './errors.ts';
export { formatTarget, type Target } from './frame.ts';
export type { Hello } from './hello.ts';
export { isHttp2Stream, resetHttp2Stream, wasReset } from './http2-reset.ts';
export { MemoryBudget } from './memory-budget.ts';
export { type RelayOptions, type RelayResult, relay } from './relay.ts';
export { resetSocket } from './reset-socket.ts';
export { Session, type SessionHandler, type SessionOptions } from './session.ts';
export type { OpeningHandler, StreamHandler, TunnelStream } from './stream.ts';
export { streamToDuplex } from './stream-duplex.ts';
export type { Transport, TransportKind, TransportSink } from './transport.ts';
