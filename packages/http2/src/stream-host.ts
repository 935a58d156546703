import type { ConnectionWriter } from './connection-writer.ts';
import type { Http2Stream } from './stream.ts';
import type { Http2Error } from './wire/frames.ts';

/** The consumer of a stream. `onClose` is called exactly once, and last. */
export interface Http2StreamHandler {
  /** The consumer calls `stream.consumed(chunk.length)` when it has taken the bytes. */
  onData(chunk: Buffer): void;
  /** The client has ended its direction. */
  onEnd(): void;
  /** There is room again after `write` returned false. */
  onDrain(): void;
  /** There is no error if both directions ended in order. */
  onClose(error?: Http2Error): void;
}

/** Counts the bytes that streams hold. */
interface MemoryCount {
  /** While it is, streams take no more bytes to send than they must. */
  readonly isFull: boolean;
  hold(bytes: number): void;
  release(bytes: number): void;
}

/** What a stream needs of its connection. */
export interface StreamHost {
  readonly writer: ConnectionWriter;
  /** How far the client may send ahead of the consumer. */
  readonly streamWindowBytes: number;
  readonly memory: MemoryCount;
  /** The stream is closed and sends nothing more. @param wasReset whether this side reset it */
  onStreamClosed(stream: Http2Stream, wasReset: boolean): void;
}
