import type { Socket } from 'node:net';
import { type ErrorCode, TunnelError } from '@fairlead/protocol';
import { refuseHttp1 } from '../listeners/refusal.ts';

/** The request line of HTTP/2's preface (RFC 9113 section 3.4); no HTTP/1.1 request begins with it. */
const preface = Buffer.from('PRI * HTTP/2.0\r\n');

/** The protocol that the bytes begin; undefined while they may still become the preface. */
export function protocolOf(bytes: Buffer): 'http1' | 'http2' | undefined {
  const length = Math.min(bytes.length, preface.length);
  if (bytes.compare(preface, 0, length, 0, length) !== 0) return 'http1';
  return length === preface.length ? 'http2' : undefined;
}

/** Tells HTTP/2 from HTTP/1.1 by a connection's first bytes. */
export class FirstBytes {
  readonly #timeoutMs: number;
  /** Ends the wait of each connection whose protocol is unknown. */
  readonly #waiting = new Map<Socket, (code: ErrorCode) => void>();

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Reads from a new connection until its protocol is known, it ends, or the deadline is over.
   * @param onProtocol receives the connection paused, with its bytes put back
   * @param onRefused called before a connection with part of a preface is refused; a silent one is just closed
   */
  read(
    socket: Socket,
    onProtocol: (protocol: 'http1' | 'http2') => void,
    onRefused: (error: TunnelError) => void,
  ): void {
    const startedAtMs = performance.now();
    let received: Buffer = Buffer.alloc(0);
    const onData = (chunk: Buffer) => {
      received = received.length > 0 ? Buffer.concat([received, chunk]) : chunk;
      const protocol = protocolOf(received);
      if (!protocol) return;
      release();
      socket.pause();
      socket.unshift(received);
      onProtocol(protocol);
    };
    const giveUp = (code: ErrorCode) => {
      release();
      if (received.length === 0 || socket.destroyed) {
        socket.destroy();
        return;
      }
      const error = new TunnelError(code);
      onRefused(error);
      refuseHttp1(socket, error, startedAtMs);
    };
    const onGone = () => giveUp('bad_request');
    const release = () => {
      clearTimeout(timer);
      this.#waiting.delete(socket);
      socket.off('data', onData).off('end', onGone).off('close', onGone).off('error', onError);
    };
    const timer = setTimeout(giveUp, this.#timeoutMs, 'request_timeout');
    this.#waiting.set(socket, giveUp);
    socket.on('data', onData).on('end', onGone).on('close', onGone).on('error', onError);
  }

  /** Gives up on every connection whose protocol is unknown. */
  giveUp(code: ErrorCode): void {
    for (const giveUp of [...this.#waiting.values()]) giveUp(code);
  }
}

// 'close' follows each 'error' and ends the wait.
function onError(): void {}
