import type { Http2Connection } from './connection.ts';
import { CONNECTION_WINDOW_BYTES } from './incoming-data.ts';
import type { Http2Stream } from './stream.ts';
import type { StreamHost } from './stream-host.ts';
import { DEFAULT_WINDOW_BYTES, encodeFrame, encodeNumbers, FrameType } from './wire/frames.ts';
import { encodeSettings } from './wire/settings.ts';

/** Enough for 80 Mbit/s to a client 100 ms away; most are on the same machine. */
export const STREAM_WINDOW_BYTES = 1_048_576;
export const MAX_CONCURRENT_STREAMS = 10_000;

export interface ConnectionOptions {
  /** From the start of the connection to its first request. */
  readonly headTimeoutMs: number;
  /** How long a connection may have no open request after its first one; undefined: forever. */
  readonly idleTimeoutMs?: number;
  /** Request fields, as HTTP/2 counts them: their text and 32 bytes for each. */
  readonly maxHeadBytes: number;
  /** How far one stream may send ahead of its consumer; default 1 MiB. */
  readonly streamWindowBytes?: number;
  /** Default 10,000. */
  readonly maxConcurrentStreams?: number;
  /** Counts the bytes that the connection holds, in both directions. */
  readonly memory: StreamHost['memory'];
}

export interface ConnectionHandler {
  /** A request has arrived. Its body may follow. */
  onRequest(stream: Http2Stream, connection: Http2Connection): void;
  /** No request came before the deadline, or none within the idle time; the connection is closed. */
  onSilent(): void;
  /** The connection has ended. Called exactly once, and last. */
  onClose?(): void;
}

const encoded = new WeakMap<ConnectionOptions, Buffer>();

/** A server's first frames: SETTINGS, and the connection's window. Connections with the same options share them. */
export function firstFrames(options: ConnectionOptions): Buffer {
  let frames = encoded.get(options);
  if (!frames) {
    frames = encodeFirstFrames(options);
    encoded.set(options, frames);
  }
  return frames;
}

function encodeFirstFrames({
  maxConcurrentStreams = MAX_CONCURRENT_STREAMS,
  streamWindowBytes = STREAM_WINDOW_BYTES,
  maxHeadBytes,
}: ConnectionOptions): Buffer {
  const settings = encodeSettings({
    MAX_CONCURRENT_STREAMS: maxConcurrentStreams,
    INITIAL_WINDOW_SIZE: streamWindowBytes,
    MAX_HEADER_LIST_SIZE: maxHeadBytes,
  });
  const grantedBytes = CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES;
  return Buffer.concat([
    encodeFrame(FrameType.SETTINGS, 0, 0, settings),
    encodeNumbers(FrameType.WINDOW_UPDATE, 0, 0, grantedBytes),
  ]);
}
