// For tests only, without a promise of stability. Other packages' production code uses index.ts.
export { latestTickMs } from './event-loop/tick-clock.ts';
export { leaseChunk, releaseChunk, shareChunk } from './flow/chunk-lease.ts';
export { InFlightLimit } from './flow/in-flight-limit.ts';
export { ReceiveWindow } from './flow/receive-window.ts';
export { type Sender, SendScheduler } from './flow/send-scheduler.ts';
export { FrameDecoder, type FrameSink } from './wire/decode.ts';
export { FrameBatch } from './wire/encode.ts';
export {
  DATA_FRAME_BYTES,
  FrameType,
  HEADER_BYTES,
  INITIAL_WINDOW_BYTES,
  isSendable,
  MAX_CREDIT_BYTES,
  MAX_HELLO_BYTES,
  MAX_PAYLOAD_BYTES,
  MAX_STREAM_ID,
  MAX_TEXT_BYTES,
  PING_FRAME_BYTES,
} from './wire/frame.ts';
export { releaseFrameBuffer } from './wire/frame-buffer.ts';
export { agreeOnVersion, PROTOCOL_VERSIONS, parseHello } from './wire/hello.ts';
