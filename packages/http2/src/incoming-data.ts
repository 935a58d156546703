import type { Http2Stream } from './stream.ts';
import type { StreamTable } from './stream-table.ts';
import { ErrorCode, Flag, Http2Error } from './wire/frames.ts';

/** Granted again on arrival, so that a stalled stream does not stop the others. */
export const CONNECTION_WINDOW_BYTES = 16 * 1_048_576;

/** What DATA needs of its connection. */
interface DataHost {
  /** The client has sent something useless. @throws Http2Error if it was too often */
  spend(): void;
  resetStream(streamId: number, code: number): void;
  grantConnection(bytes: number): void;
}

/** The DATA that a connection receives (RFC 9113 sections 5.2 and 6.1). */
export class IncomingData {
  readonly #streams: StreamTable;
  readonly #host: DataHost;
  /** The stream of the current frame; undefined if it is no longer read. */
  #stream: Http2Stream | undefined;
  #flags = 0;
  #paddingBytes = 0;
  #creditBytes = CONNECTION_WINDOW_BYTES;
  /** Received and not granted again. */
  #ungrantedBytes = 0;

  constructor(streams: StreamTable, host: DataHost) {
    this.#streams = streams;
    this.#host = host;
  }

  /** @throws Http2Error for an error of the connection */
  onStart(flags: number, streamId: number, length: number): void {
    this.#streams.requireUsed(streamId);
    this.#creditBytes -= length;
    if (this.#creditBytes < 0) throw new Http2Error(ErrorCode.FLOW_CONTROL_ERROR);
    this.#ungrantedBytes += length;
    if (length === 0 && !(flags & Flag.END_STREAM)) this.#host.spend();
    this.#flags = flags;
    this.#paddingBytes = length;
    const stream = this.#streams.get(streamId);
    this.#stream = stream;
    if (stream) this.#try(stream, () => stream.onDataStart(length));
    else if (!this.#streams.wasReset(streamId)) {
      this.#host.resetStream(streamId, ErrorCode.STREAM_CLOSED);
    }
  }

  onPiece(piece: Buffer): void {
    this.#paddingBytes -= piece.length;
    this.#stream?.onDataPiece(piece);
  }

  onEnd(): void {
    if (this.#ungrantedBytes >= CONNECTION_WINDOW_BYTES / 2) {
      this.#creditBytes += this.#ungrantedBytes;
      this.#host.grantConnection(this.#ungrantedBytes);
      this.#ungrantedBytes = 0;
    }
    const stream = this.#stream;
    if (stream && !stream.isClosed) {
      if (this.#paddingBytes > 0) stream.onPadding(this.#paddingBytes);
      if (this.#flags & Flag.END_STREAM) this.endStream(stream);
    }
    this.#stream = undefined;
  }

  /** The client has ended its direction. */
  endStream(stream: Http2Stream): void {
    this.#try(stream, () => stream.onPeerEnd());
  }

  /** Runs a step whose error resets the stream and not the connection. */
  #try(stream: Http2Stream, step: () => void): void {
    try {
      step();
    } catch (error) {
      if (!(error instanceof Http2Error)) throw error;
      this.#stream = undefined;
      this.#host.resetStream(stream.id, error.code);
    }
  }
}
