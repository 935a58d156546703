import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { corkUntilTickEnd } from '../event-loop/tick-cork.ts';
import { leaseChunk, releaseChunk } from '../flow/chunk-lease.ts';
import { ChunkQueue } from '../flow/chunk-queue.ts';
import type { RelayedStream, StreamHandler } from '../session/stream.ts';
import { type ErrorCode, TunnelError } from '../wire/errors.ts';
import { resetSocket } from './reset-socket.ts';
import { ownSocket, type SocketOwner } from './socket-owner.ts';

export interface RelayOptions {
  /** The code of a failed socket: on the server it is the client's, on the agent the target's. */
  readonly resetCode: Extract<ErrorCode, 'client_reset' | 'target_reset'>;
  /** Bytes that were already read from the socket. */
  readonly first?: Buffer | undefined;
  /** Called once, when both the socket and the stream have closed. */
  onFinish?(result: RelayResult): void;
}

export interface RelayResult {
  readonly bytesFromSocket: number;
  readonly bytesToSocket: number;
  /** Undefined if both sides ended in order. */
  readonly error: TunnelError | undefined;
}

/**
 * How many writes may wait for the socket. Further chunks are gathered first, because each waiting write costs some
 * hundred bytes, however small it is.
 */
const MAX_WAITING_WRITES = 64;

/**
 * Joins a socket and a stream until both have ended: bytes, backpressure, half-close and reset, in both directions. Bytes
 * are not copied, except small writes to a stalled socket. Bytes that were put back with `unshift` come first.
 * The socket must allow half-open connections, and no other code may use it after the call.
 */
export function relay(socket: Duplex, stream: RelayedStream, options: RelayOptions): void {
  new Relay(socket, stream, options).start();
}

class Relay implements StreamHandler, SocketOwner {
  readonly #socket: Duplex;
  /** Whether the relay alone uses the chunks it reads. */
  readonly #isSocket: boolean;
  readonly #stream: RelayedStream;
  readonly #options: RelayOptions;
  #bytesFromSocket = 0;
  #bytesToSocket = 0;
  /** Bytes that the socket has taken and the peer has credit for again. */
  #creditedBytes = 0;
  #socketEnded = false;
  /** Both directions have ended, and all bytes have left. */
  #isComplete = false;
  #socketClosed = false;
  #streamClosed = false;
  #isFinished = false;
  #error: TunnelError | undefined;
  /** Chunks handed to the socket and not yet taken, in order. */
  readonly #writing: Buffer[] = [];
  /** Gathers chunks for a socket with too many waiting writes, until it has few. */
  #backlog: ChunkQueue | undefined;
  readonly #onWritten = () => {
    const chunk = this.#writing.shift()!;
    if (this.#isSocket) releaseChunk(chunk);
    if (this.#backlog && this.#writing.length < MAX_WAITING_WRITES / 2) this.#writeBacklog();
    this.#credit();
  };

  constructor(socket: Duplex, stream: RelayedStream, options: RelayOptions) {
    this.#socket = socket;
    this.#isSocket = socket instanceof Socket;
    this.#stream = stream;
    this.#options = options;
  }

  start(): void {
    const socket = this.#socket;
    ownSocket(socket, this);
    this.#stream.attach(this);
    const { first } = this.#options;
    const hasRoom = !first || first.length === 0 || this.#toStream(first);
    if (socket.closed) this.onSocketClose();
    // The socket can end while the stream is being opened.
    else if (socket.readableEnded) this.onSocketEnd();
    else if (!hasRoom) socket.pause();
    else if (!socket.destroyed) socket.resume();
  }

  onSocketData(chunk: Buffer): void {
    if (!this.#toStream(chunk)) this.#socket.pause();
  }

  onSocketEnd(): void {
    this.#socketEnded = true;
    this.#stream.end();
  }

  onSocketError(error: Error): void {
    this.#fail(new TunnelError(this.#options.resetCode, error.message, { cause: error }));
  }

  onSocketClose(): void {
    if (this.#socketClosed) return;
    this.#socketClosed = true;
    if (!this.#socketEnded || !(this.#isComplete || this.#socket.writableFinished)) {
      this.#fail(new TunnelError(this.#options.resetCode));
    } else if (!this.#streamClosed) {
      this.#creditUpTo(this.#bytesToSocket);
    }
    this.#finishWhenDone();
  }

  onDrain(): void {
    this.#socket.resume();
  }

  onData(chunk: Buffer): void {
    this.#bytesToSocket += chunk.length;
    if (this.#writing.length < MAX_WAITING_WRITES && !this.#backlog) {
      this.#write(chunk);
      return;
    }
    this.#backlog ??= new ChunkQueue();
    this.#backlog.push(chunk);
  }

  onEnd(): void {
    this.#writeBacklog();
    const socket = this.#socket;
    if (this.#socketEnded && isPlain(socket) && socket.writableLength === 0) {
      // Both directions have ended and all bytes have left: a shutdown before the close is not needed.
      this.#isComplete = true;
      socket.destroy();
    } else socket.end();
  }

  onClose(error?: TunnelError): void {
    this.#streamClosed = true;
    if (error) {
      this.#error ??= error;
      abort(this.#socket);
    }
    this.#finishWhenDone();
  }

  /** @returns false if the stream has no room for more */
  #toStream(chunk: Buffer): boolean {
    this.#bytesFromSocket += chunk.length;
    if (this.#isSocket) leaseChunk(chunk);
    return this.#stream.write(chunk);
  }

  #write(chunk: Buffer): void {
    corkUntilTickEnd(this.#socket);
    this.#writing.push(chunk);
    this.#socket.write(chunk, this.#onWritten);
  }

  #writeBacklog(): void {
    const backlog = this.#backlog;
    this.#backlog = undefined;
    for (const chunk of backlog?.takeAll() ?? []) this.#write(chunk);
  }

  #credit(): void {
    if (this.#socket.destroyed) return;
    const waitingBytes = this.#socket.writableLength + (this.#backlog?.bytes ?? 0);
    this.#creditUpTo(this.#bytesToSocket - waitingBytes);
  }

  #creditUpTo(takenBytes: number): void {
    const bytes = takenBytes - this.#creditedBytes;
    if (bytes <= 0) return;
    this.#creditedBytes = takenBytes;
    this.#stream.consumed(bytes);
  }

  #fail(error: TunnelError): void {
    if (this.#streamClosed) return;
    this.#error ??= error;
    this.#stream.reset(error);
  }

  #finishWhenDone(): void {
    if (!this.#streamClosed || !this.#socketClosed || this.#isFinished) return;
    this.#isFinished = true;
    this.#options.onFinish?.({
      bytesFromSocket: this.#bytesFromSocket,
      bytesToSocket: this.#bytesToSocket,
      error: this.#error,
    });
  }
}

/** Ends a socket so that its peer sees a failure and not an end, if the protocol has one. */
function abort(socket: Duplex): void {
  if (socket.destroyed) return;
  // Only a plain TCP socket can send RST. TLS and Unix sockets have none.
  if (isPlain(socket) && socket.remotePort !== undefined) {
    resetSocket(socket);
    return;
  }
  socket.destroy();
}

/** A TCP or Unix socket, without TLS. */
function isPlain(socket: Duplex): socket is Socket {
  return socket instanceof Socket && !('encrypted' in socket);
}
