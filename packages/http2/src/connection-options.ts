import type { Http2Connection } from './connection.ts';
import type { Http2Stream } from './stream.ts';
import type { StreamHost } from './stream-host.ts';

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
