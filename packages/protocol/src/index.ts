export { Deadlines } from './event-loop/deadlines.ts';
export { noteTick } from './event-loop/tick-clock.ts';
export { corkUntilTickEnd } from './event-loop/tick-cork.ts';
export { TickShare } from './event-loop/tick-share.ts';
export { ChunkQueue } from './flow/chunk-queue.ts';
export { largestOf, MemoryBudget, type StalledStream } from './flow/memory-budget.ts';
export { destroyLater } from './relay/destroy-later.ts';
export {
  type ClientStream,
  type ClientStreamHandler,
  joinStreams,
} from './relay/join-streams.ts';
export { readSome } from './relay/read-some.ts';
export { type RelayOptions, type RelayResult, relay } from './relay/relay.ts';
export { resetSocket } from './relay/reset-socket.ts';
export { ownSocket, type SocketOwner } from './relay/socket-owner.ts';
export { Liveness, type LivenessOptions } from './session/liveness.ts';
export { Session, type SessionHandler, type SessionOptions } from './session/session.ts';
export type {
  OpeningHandler,
  RelayedStream,
  StreamHandler,
  TunnelStream,
} from './session/stream.ts';
export { streamToDuplex } from './session/stream-duplex.ts';
export {
  HTTP2_WINDOW_BYTES,
  TUNNEL_ALPN,
  TUNNEL_CONTENT_TYPE,
  TUNNEL_PATH,
  TUNNEL_SUBPROTOCOL,
} from './session/tunnel-endpoint.ts';
export { DuplexTransport } from './transports/duplex-transport.ts';
export type { Transport, TransportKind, TransportSink } from './transports/transport.ts';
export {
  WebSocketTransport,
  webSocketOptions,
  zeroMask,
} from './transports/websocket-transport.ts';
export { refusalFrame } from './wire/encode.ts';
export {
  cleanText,
  codeFromWire,
  type ErrorCode,
  errorTable,
  TunnelError,
  toTunnelError,
} from './wire/errors.ts';
export { formatTarget, type Target } from './wire/frame.ts';
export { HELLO_LIMITS, type Hello } from './wire/hello.ts';
