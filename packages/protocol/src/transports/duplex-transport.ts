import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TickShare } from '../event-loop/tick-share.ts';
import { TunnelError } from '../wire/errors.ts';
import type { Transport, TransportKind, TransportSink } from './transport.ts';

/** Idle time before the kernel probes the peer. The session's PINGs are the main liveness check. */
const KEEP_ALIVE_DELAY_MS = 30_000;

/**
 * A transport over any Node Duplex of bytes: a TLS or plain socket, the client's side of an HTTP/2 stream, or one end of
 * `stream.duplexPair()`.
 *
 * The transport owns the socket from the constructor on: no other code may read, write or end it. Bytes that were read
 * before and put back with `unshift`, or are still buffered, are delivered first.
 */
export class DuplexTransport implements Transport {
  readonly kind: TransportKind;
  readonly #socket: Duplex;
  readonly #tickShare: TickShare;
  #sink: TransportSink | undefined;
  #error: Error | undefined;
  /** This side was ended or destroyed. Later writes are dropped. */
  #ending = false;
  #destroyed = false;
  #peerEnded = false;
  #writing = false;

  constructor(socket: Duplex, kind: TransportKind) {
    this.kind = kind;
    this.#socket = socket;
    this.#tickShare = new TickShare(socket);
    if (socket instanceof Socket) {
      socket.setNoDelay(true);
      socket.setKeepAlive(true, KEEP_ALIVE_DELAY_MS);
    }
    // Here and not in `start`, because a socket can fail or end before, and no other code listens.
    socket.on('error', this.#onError);
    if (socket.readableEnded) this.#onEnd();
    else socket.on('end', this.#onEnd);
  }

  start(sink: TransportSink): void {
    const socket = this.#socket;
    this.#sink = sink;
    if (socket.closed) {
      process.nextTick(this.#onClose);
      return;
    }
    socket.on('close', this.#onClose);
    if (socket.destroyed) return;
    socket.on('data', this.#onData);
    // A 'data' listener does not resume a socket that was paused explicitly.
    socket.resume();
  }

  write(bytes: Buffer, onSent: () => void): void {
    if (this.#ending) return;
    this.#writing = true;
    // The other end of a memory pair gets this same buffer, and may keep slices of it.
    this.#socket.write(this.kind === 'memory' ? Buffer.from(bytes) : bytes, onSent);
    this.#writing = false;
  }

  end(): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#socket.end();
  }

  destroy(error?: Error): void {
    const socket = this.#socket;
    if (socket.destroyed) return;
    this.#ending = true;
    this.#destroyed = true;
    if (error !== undefined) this.#error ??= error;
    socket.off('data', this.#onData);
    socket.destroy(error);
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#writing) {
      // A memory pair delivers bytes within the writer's call, and an answer within this one. The sink must not be
      // called within `write`, so the chunk waits for the next tick.
      const socket = this.#socket;
      socket.pause();
      socket.unshift(chunk);
      process.nextTick(() => socket.resume());
      return;
    }
    this.#tickShare.begin();
    this.#sink?.onBytes(chunk);
    this.#tickShare.end();
  };

  /** The peer's FIN. Queued bytes still leave. If the peer does not take them, the session's liveness check ends it. */
  readonly #onEnd = (): void => {
    this.#peerEnded = true;
    if (this.#ending) return;
    this.#ending = true;
    this.#socket.end();
  };

  readonly #onError = (error: Error): void => {
    this.#error ??= error;
  };

  readonly #onClose = (): void => {
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.onClose(this.#error ?? this.#abruptEnd());
  };

  /** The error of a close that neither side asked for. */
  #abruptEnd(): Error | undefined {
    if (this.#destroyed) return undefined;
    // If an HTTP/2 stream was reset with CANCEL or NO_ERROR, or its session was destroyed, it closes without an 'error'
    // event and still emits 'end'.
    const { aborted, rstCode } = this.#socket as { aborted?: boolean; rstCode?: number };
    if (aborted || rstCode) {
      return new TunnelError('tunnel_lost', `the HTTP/2 stream was reset with code ${rstCode}`);
    }
    if (this.#peerEnded) return undefined;
    return new TunnelError('tunnel_lost', 'the connection closed without an end');
  }
}
