import type { Socket } from 'node:net';
import {
  destroyLater,
  largestOf,
  ownSocket,
  type SocketOwner,
  type StalledStream,
} from '@fairlead/protocol';
import {
  type ConnectionHandler,
  type ConnectionOptions,
  firstFrames,
  MAX_CONCURRENT_STREAMS,
  STREAM_WINDOW_BYTES,
} from './connection-options.ts';
import { ConnectionWriter } from './connection-writer.ts';
import { FloodGuard } from './flood-guard.ts';
import { encodeFields } from './hpack/encode-fields.ts';
import { IncomingData } from './incoming-data.ts';
import { PacedReader } from './paced-reader.ts';
import { Pings } from './pings.ts';
import { Http2Stream } from './stream.ts';
import type { StreamHost } from './stream-host.ts';
import { StreamTable } from './stream-table.ts';
import { FrameReader, type FrameSink } from './wire/frame-reader.ts';
import {
  DEFAULT_WINDOW_BYTES,
  ErrorCode,
  encodeFrame,
  encodeGoAway,
  encodeNumbers,
  Flag,
  FrameType,
  Http2Error,
} from './wire/frames.ts';
import {
  HeaderBlocks,
  type HeaderSection,
  parentOf,
  requireConnection,
  requireSize,
} from './wire/header-blocks.ts';
import type { HeadBuilder } from './wire/request-head.ts';
import { decodeSettings } from './wire/settings.ts';

/** Answers that may wait for a client that does not read. Before the first request, there is little to answer. */
const MAX_CONTROL_BYTES = 1_048_576;
const MAX_CONTROL_BYTES_BEFORE_REQUEST = 65_536;
/** How long a client has to close its side, and open streams after `closeSoon`. */
const CLOSE_MS = 2_000;
const headTooLarge = encodeFields({ ':status': '431' });

/** The server's end of an HTTP/2 connection (RFC 9113) on a TLS or plain socket. */
export class Http2Connection implements FrameSink, SocketOwner, StreamHost, StalledStream {
  readonly streamWindowBytes: number;
  readonly memory: StreamHost['memory'];
  readonly writer: ConnectionWriter;
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #handler: ConnectionHandler;
  readonly #reader: PacedReader;
  readonly #frames = new FrameReader(this);
  readonly #guard = new FloodGuard();
  readonly #streams = new StreamTable();
  readonly #pings = new Pings();
  readonly #blocks: HeaderBlocks;
  readonly #data: IncomingData;
  #hasSettings = false;
  /** The client has acknowledged our SETTINGS. */
  #isAcknowledged = false;
  #peerWindowBytes = DEFAULT_WINDOW_BYTES;
  #isGoingAway = false;
  #isClosed = false;
  #timer: NodeJS.Timeout | undefined;

  /** @param socket no other code reads or writes it */
  constructor(socket: Socket, options: ConnectionOptions, handler: ConnectionHandler) {
    this.#socket = socket;
    this.#options = options;
    this.#handler = handler;
    this.memory = options.memory;
    this.streamWindowBytes = options.streamWindowBytes ?? STREAM_WINDOW_BYTES;
    this.writer = new ConnectionWriter(socket, options.memory);
    this.#blocks = new HeaderBlocks(options.maxHeadBytes);
    this.#data = new IncomingData(this.#streams, {
      spend: () => this.#spend(),
      resetStream: (streamId, code) => this.#resetStream(streamId, code),
      grantConnection: (bytes) => this.#sendNumbers(FrameType.WINDOW_UPDATE, 0, bytes),
    });
    this.#reader = new PacedReader(socket, this.#decode);
  }

  /** Starts to serve. Call it once. @param received what was already read from the socket */
  start(received?: Buffer): this {
    this.#timer = setTimeout(() => this.#onDeadline(), this.#options.headTimeoutMs);
    this.writer.sendControl(firstFrames(this.#options));
    ownSocket(this.#socket, this);
    this.#reader.start(received);
    return this;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get heldBytes(): number {
    let bytes = this.writer.waitingControlBytes;
    for (const stream of this.#streams.values()) bytes += stream.heldBytes;
    return bytes;
  }

  /** Resets the stream that holds most, or ends the connection if its answers are what waits. */
  resetForMemory(): void {
    const largest = largestOf(this.#streams.values());
    if ((largest?.heldBytes ?? 0) > this.writer.waitingControlBytes) largest!.resetForMemory();
    else this.destroy();
  }

  /** @param onAnswer called with the round trip time when the client has answered */
  ping(onAnswer: (rttMs: number) => void): void {
    this.writer.sendControl(this.#pings.send(onAnswer));
  }

  /** Sends GOAWAY: the client opens no more streams here. Open streams go on; then the connection ends. */
  drain(): void {
    if (this.#isGoingAway || this.#isClosed) return;
    this.#sendGoAway(ErrorCode.NO_ERROR, '');
    if (this.#streams.size === 0) this.#end();
  }

  /** Like `drain`, but open streams have only a short time. */
  closeSoon(): void {
    this.drain();
    destroyLater(this.#socket, CLOSE_MS);
  }

  /** Ends the connection and all its streams at once. */
  destroy(): void {
    this.#socket.destroy();
    this.#close();
  }

  onSocketData(chunk: Buffer): void {
    this.#reader.onChunk(chunk);
  }

  onSocketEnd(): void {
    this.#end();
  }

  onSocketError(): void {}

  onSocketClose(): void {
    this.#close();
  }

  onFrame(type: number, flags: number, streamId: number, payload: Buffer): void {
    if (type !== FrameType.CONTINUATION) this.#blocks.requireComplete();
    if (!this.#hasSettings && (type !== FrameType.SETTINGS || flags & Flag.ACK)) {
      throw new Http2Error(ErrorCode.PROTOCOL_ERROR, 'the first frame is not SETTINGS');
    }
    switch (type) {
      case FrameType.HEADERS:
        return this.#onSection(this.#blocks.onHeaders(flags, streamId, payload));
      case FrameType.CONTINUATION:
        return this.#onSection(this.#blocks.onContinuation(flags, streamId, payload));
      case FrameType.SETTINGS:
        return this.#onSettings(flags, streamId, payload);
      case FrameType.WINDOW_UPDATE:
        return this.#onWindowUpdate(streamId, payload);
      case FrameType.RST_STREAM:
        requireSize(payload, 4);
        this.#streams.requireUsed(streamId);
        this.#streams.get(streamId)?.onPeerReset(payload.readUInt32BE(0));
        return;
      case FrameType.PING:
        return this.#onPing(flags, streamId, payload);
      case FrameType.GOAWAY:
        return this.#onGoAway(streamId, payload);
      case FrameType.PRIORITY:
        return this.#onPriority(streamId, payload);
      case FrameType.PUSH_PROMISE:
        throw new Http2Error(ErrorCode.PROTOCOL_ERROR, 'a client cannot push');
      default:
        // RFC 9113 section 5.5: unknown types are ignored.
        this.#spend();
    }
  }

  onDataStart(flags: number, streamId: number, length: number): void {
    this.#blocks.requireComplete();
    this.#data.onStart(flags, streamId, length);
  }

  onDataPiece(piece: Buffer): void {
    this.#data.onPiece(piece);
  }

  onDataEnd(): void {
    this.#data.onEnd();
  }

  onStreamClosed(stream: Http2Stream, wasReset: boolean): void {
    this.#streams.delete(stream.id, wasReset);
    if (this.#streams.size > 0 || this.#isClosed) return;
    if (this.#isGoingAway) this.#end();
    else if (this.#options.idleTimeoutMs !== undefined) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#onDeadline(), this.#options.idleTimeoutMs);
    }
  }

  readonly #decode = (piece: Buffer): void => {
    try {
      this.#frames.push(piece);
    } catch (error) {
      if (!(error instanceof Http2Error)) throw error;
      this.#fail(error);
      return;
    }
    const maxBytes =
      this.#streams.lastId > 0 ? MAX_CONTROL_BYTES : MAX_CONTROL_BYTES_BEFORE_REQUEST;
    if (this.writer.waitingControlBytes > maxBytes) this.destroy();
  };

  /** A request, or the trailers of one; undefined while it is incomplete. */
  #onSection(section: HeaderSection | undefined): void {
    if (!section) return;
    const { streamId, endStream, head, dependsOnItself } = section;
    const stream = this.#streams.get(streamId);
    if (stream) this.#onTrailers(stream, endStream, head);
    else if (streamId > this.#streams.lastId) this.#onRequest(streamId, endStream, head);
    else if (!this.#streams.wasReset(streamId)) throw new Http2Error(ErrorCode.STREAM_CLOSED);
    if (dependsOnItself) this.#resetStream(streamId, ErrorCode.PROTOCOL_ERROR);
  }

  #onTrailers(stream: Http2Stream, endStream: boolean, head: HeadBuilder): void {
    if (!endStream || head.isTooLarge || head.trailersProblem() !== undefined) {
      const code = stream.peerEnded ? ErrorCode.STREAM_CLOSED : ErrorCode.PROTOCOL_ERROR;
      this.#resetStream(stream.id, code);
    } else {
      this.#data.endStream(stream);
    }
  }

  #onRequest(streamId: number, endStream: boolean, head: HeadBuilder): void {
    this.#streams.use(streamId);
    const { maxConcurrentStreams = MAX_CONCURRENT_STREAMS } = this.#options;
    if (this.#isGoingAway || this.#streams.size >= maxConcurrentStreams) {
      this.#resetStream(streamId, ErrorCode.REFUSED_STREAM);
      return;
    }
    if (!head.isTooLarge && head.requestProblem() !== undefined) {
      this.#resetStream(streamId, ErrorCode.PROTOCOL_ERROR);
      return;
    }
    const stream = new Http2Stream(streamId, head, this.#peerWindowBytes, this);
    this.#streams.add(stream);
    this.#endDeadline();
    if (endStream) this.#data.endStream(stream);
    if (stream.isClosed) return;
    if (!head.isTooLarge) {
      this.#handler.onRequest(stream, this);
      return;
    }
    this.#spend();
    stream.respond(headTooLarge, true);
    stream.finish();
  }

  #onSettings(flags: number, streamId: number, payload: Buffer): void {
    requireConnection(streamId);
    this.#hasSettings = true;
    if (flags & Flag.ACK) {
      requireSize(payload, 0);
      this.#isAcknowledged = true;
      this.#endDeadline();
      return;
    }
    this.#spend();
    const { maxFrameBytes, initialWindowBytes } = decodeSettings(payload);
    if (maxFrameBytes !== undefined) this.writer.maxFrameBytes = maxFrameBytes;
    if (initialWindowBytes !== undefined) {
      const change = initialWindowBytes - this.#peerWindowBytes;
      this.#peerWindowBytes = initialWindowBytes;
      for (const stream of this.#streams.values()) {
        if (!stream.addSendWindow(change)) throw new Http2Error(ErrorCode.FLOW_CONTROL_ERROR);
      }
    }
    this.writer.sendControl(encodeNumbers(FrameType.SETTINGS, Flag.ACK, 0));
  }

  #onGoAway(streamId: number, payload: Buffer): void {
    requireConnection(streamId);
    if (payload.length < 8) throw new Http2Error(ErrorCode.FRAME_SIZE_ERROR);
    this.#isGoingAway = true;
    if (this.#streams.size > 0) return;
    // The client closes its socket. A write would only fail, unless a stream has something to send.
    if (!this.writer.hasStreamFrames) this.writer.close();
    this.#end();
  }

  #onWindowUpdate(streamId: number, payload: Buffer): void {
    requireSize(payload, 4);
    const increment = payload.readUInt32BE(0) & 0x7fff_ffff;
    if (streamId === 0) {
      if (increment === 0) throw new Http2Error(ErrorCode.PROTOCOL_ERROR);
      if (!this.writer.addWindow(increment)) throw new Http2Error(ErrorCode.FLOW_CONTROL_ERROR);
      return;
    }
    this.#streams.requireUsed(streamId);
    if (increment === 0) this.#resetStream(streamId, ErrorCode.PROTOCOL_ERROR);
    else if (this.#streams.get(streamId)?.addSendWindow(increment) === false) {
      this.#resetStream(streamId, ErrorCode.FLOW_CONTROL_ERROR);
    }
  }

  #onPing(flags: number, streamId: number, payload: Buffer): void {
    requireConnection(streamId);
    requireSize(payload, 8);
    if (flags & Flag.ACK) this.#pings.onAnswer();
    else this.writer.sendControl(encodeFrame(FrameType.PING, Flag.ACK, 0, payload));
  }

  /** Priorities are not used. */
  #onPriority(streamId: number, payload: Buffer): void {
    this.#spend();
    if (streamId === 0) throw new Http2Error(ErrorCode.PROTOCOL_ERROR);
    if (payload.length !== 5) this.#resetStream(streamId, ErrorCode.FRAME_SIZE_ERROR);
    else if (parentOf(payload, 0) === streamId)
      this.#resetStream(streamId, ErrorCode.PROTOCOL_ERROR);
  }

  /** Resets a stream because of what the client did. */
  #resetStream(streamId: number, code: number): void {
    this.#spend();
    const stream = this.#streams.get(streamId);
    this.#sendNumbers(FrameType.RST_STREAM, streamId, code);
    if (stream) stream.close(new Http2Error(code), true);
    else this.#streams.delete(streamId, true);
  }

  #spend(): void {
    if (this.#guard.take()) return;
    throw new Http2Error(ErrorCode.ENHANCE_YOUR_CALM, 'the client sends too much that is useless');
  }

  #sendNumbers(type: number, streamId: number, ...numbers: number[]): void {
    this.writer.sendControl(encodeNumbers(type, 0, streamId, ...numbers));
  }

  #sendGoAway(code: number, reason: string): void {
    this.#isGoingAway = true;
    this.writer.sendControl(encodeGoAway(this.#streams.lastId, code, reason));
  }

  /** A connection error (RFC 9113 section 5.4.1). */
  #fail(error: Http2Error): void {
    this.#sendGoAway(error.code, error.message);
    this.#end();
  }

  /** The first request and the acknowledgement of SETTINGS share a deadline. */
  #endDeadline(): void {
    if (this.#isAcknowledged && this.#streams.lastId > 0) clearTimeout(this.#timer);
  }

  #onDeadline(): void {
    if (this.#streams.lastId > 0 && !this.#isAcknowledged) {
      this.#fail(new Http2Error(ErrorCode.SETTINGS_TIMEOUT, 'SETTINGS were not acknowledged'));
      return;
    }
    if (this.#streams.size > 0) return;
    this.#handler.onSilent();
    this.closeSoon();
  }

  /** Ends the connection after what was sent. The client has a short time to close its side. */
  #end(): void {
    if (this.#isClosed) return;
    this.writer.end();
    destroyLater(this.#socket, CLOSE_MS);
    this.#close();
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#reader.stop();
    this.writer.close();
    for (const stream of [...this.#streams.values()]) {
      stream.close(new Http2Error(ErrorCode.NO_ERROR, 'the connection was closed'));
    }
    this.#handler.onClose?.();
  }
}
