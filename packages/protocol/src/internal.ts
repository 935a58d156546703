export { leaseChunk, releaseChunk, shareChunk } from './chunk-lease.ts';
export { ChunkQueue } from './chunk-queue.ts';
export { FrameDecoder, type FrameSink } from './decode.ts';
export { DuplexTransport } from './duplex-transport.ts';
export { FrameBatch } from './encode.ts';
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
} from './frame.ts';
export { releaseFrameBuffer } from './frame-buffer.ts';
export { agreeOnVersion, PROTOCOL_VERSIONS, parseHello } from './hello.ts';
export { InFlightLimit } from './in-flight-limit.ts';
export { Liveness, type LivenessHandler, type LivenessOptions } from './liveness.ts';
export { ReceiveWindow } from './receive-window.ts';
export { type Sender, SendTurns } from './send-turns.ts';
export {
  HTTP2_WINDOW_BYTES,
  TUNNEL_ALPN,
  TUNNEL_CONTENT_TYPE,
  TUNNEL_PATH,
  TUNNEL_SUBPROTOCOL,
} from './tunnel-endpoint.ts';
export { latestTurnMs, noteTurn } from './turn-clock.ts';
export { corkUntilTurnEnd } from './turn-cork.ts';
export { TurnShare } from './turn-share.ts';
export { WebSocketTransport, webSocketOptions, zeroMask } from './websocket-transport.ts';
