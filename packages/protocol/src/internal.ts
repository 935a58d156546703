export { latestTurnMs, noteTurn } from './event-loop/tick-clock.ts';
export { corkUntilTurnEnd } from './event-loop/tick-cork.ts';
export { TurnShare } from './event-loop/tick-share.ts';
export { leaseChunk, releaseChunk, shareChunk } from './flow/chunk-lease.ts';
export { ChunkQueue } from './flow/chunk-queue.ts';
export { InFlightLimit } from './flow/in-flight-limit.ts';
export { ReceiveWindow } from './flow/receive-window.ts';
export { type Sender, SendTurns } from './flow/send-scheduler.ts';
export { Liveness, type LivenessHandler, type LivenessOptions } from './session/liveness.ts';
export {
  HTTP2_WINDOW_BYTES,
  TUNNEL_ALPN,
  TUNNEL_CONTENT_TYPE,
  TUNNEL_PATH,
  TUNNEL_SUBPROTOCOL,
} from './session/tunnel-endpoint.ts';
export { DuplexTransport } from './transports/duplex-transport.ts';
export {
  WebSocketTransport,
  webSocketOptions,
  zeroMask,
} from './transports/websocket-transport.ts';
export { FrameDecoder, type FrameSink } from './wire/decode.ts';
export { FrameBatch } from './wire/encode.ts';
export {
  DATA_FRAME_BYTES,
  FrameType,
  HEADER_BYTES,
  INITIAL_WINDOW_BYTES,
  MAX_CREDIT_BYTES,
  MAX_HELLO_BYTES,
  MAX_PAYLOAD_BYTES,
  MAX_STREAM_ID,
  MAX_TEXT_BYTES,
} from './wire/frame.ts';
export { releaseFrameBuffer } from './wire/frame-buffer.ts';
export { agreeOnVersion, PROTOCOL_VERSIONS, parseHello } from './wire/hello.ts';
