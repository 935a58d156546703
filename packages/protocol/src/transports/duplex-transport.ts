import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TurnShare } from '../event-loop/tick-share.ts';
import { TunnelError } from '../wire/errors.ts';
import type { Transport, TransportKind, TransportSink } from './transport.ts';

/** Idle time before the kernel probes the peer; the session's PINGs are the real liveness check. */
const keepAliveDelayMs = 30_000;

/**
 * A transport over any Node Duplex of bytes: a TLS or plain socket, either side of an HTTP/2
 * stream, one end of `stream.duplexPair()`.
 *
 * The transport owns the socket from the constructor on and is the only one that reads, writes or
 * ends it. Bytes that were read before (`unshift`, or still buffered) are delivered first.
 */
export class DuplexTransport implements Transport {
  readonly kind: TransportKind;
  readonly #socket: Duplex;
  readonly #turnShare: TurnShare;
  #sink: TransportSink | undefined;
  #error: Error | undefined;
  /** Our side was ended or destroyed: later writes are dropped. */
  #ending = false;
  #destroyed = false;
  #peerEnded = false;
  #writing = false;

  constructor(socket: Duplex, kind: TransportKind) {
    this.kind = kind;
    this.#socket = socket;
    this.#turnShare = new TurnShare(socket);
    if (socket instanceof Socket) {
      socket.setNoDelay(true);
      socket.setKeepAlive(true, keepAliveDelayMs);
    }
    // From here on, because a socket may fail or end before `start` and nobody else would listen.
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
    // A listener does not wake a socket that was paused on purpose before it was handed over.
    socket.resume();
  }

  write(bytes: Buffer, onSent: () => void): void {
    if (this.#ending) return;
    this.#writing = true;
    // The other end of a memory pair gets the very buffer, and keeps slices of it for as long as it likes.
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
      // A memory pair hands bytes over within the writer's call, and an answer comes back within
      // ours. The sink is promised not to be called from `write`, so the chunk waits for a tick.
      const socket = this.#socket;
      socket.pause();
      socket.unshift(chunk);
      process.nextTick(() => socket.resume());
      return;
    }
    this.#turnShare.begin();
    this.#sink?.onBytes(chunk);
    this.#turnShare.end();
  };

  /** The peer's FIN. What is queued still leaves; if the peer does not take it, liveness ends us. */
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

  /** A close that neither side asked for. */
  #abruptEnd(): Error | undefined {
    if (this.#destroyed) return undefined;
    // An HTTP/2 stream that was reset with CANCEL or NO_ERROR, or whose session was destroyed,
    // closes without an 'error' event and emits 'end' as if all were well.
    const { aborted, rstCode } = this.#socket as { aborted?: boolean; rstCode?: number };
    if (aborted || rstCode) {
      return new TunnelError('tunnel_lost', `the HTTP/2 stream was reset with code ${rstCode}`);
    }
    if (this.#peerEnded) return undefined;
    return new TunnelError('tunnel_lost', 'the connection closed without an end');
  }
}
