import type { Socket } from 'node:net';
import type { ErrorCode } from '@fairlead/protocol';
import type { Caller } from './dial.ts';

/** The request line of HTTP/2's preface (RFC 9113 section 3.4); no HTTP/1.1 request begins so. */
const preface = Buffer.from('PRI * HTTP/2.0\r\n');

/** Which protocol the bytes begin; undefined while they are a proper part of the preface. */
export function protocolOf(bytes: Buffer): 'http1' | 'http2' | undefined {
  const length = Math.min(bytes.length, preface.length);
  if (bytes.compare(preface, 0, length, 0, length) !== 0) return 'http1';
  return length === preface.length ? 'http2' : undefined;
}

/** A connection that said nothing, or part of a preface, and then ended or took too long. */
export interface UndecidedConnection {
  readonly socket: Socket;
  readonly caller: Caller;
  readonly receivedBytes: number;
  readonly waitedMs: number;
  readonly code: ErrorCode;
}

/** What becomes of a connection after its first bytes. */
export interface FirstBytesHandler {
  /** The bytes are back in the socket, which is paused. */
  onProtocol(protocol: 'http1' | 'http2', socket: Socket, caller: Caller): void;
  onUndecided(connection: UndecidedConnection): void;
}

/** Waits for as many bytes of each connection as it takes to tell HTTP/2 from HTTP/1.1. */
export class FirstBytes {
  readonly #timeoutMs: number;
  readonly #handler: FirstBytesHandler;
  readonly #waiting = new Map<Socket, (code: ErrorCode) => void>();

  constructor(timeoutMs: number, handler: FirstBytesHandler) {
    this.#timeoutMs = timeoutMs;
    this.#handler = handler;
  }

  /** Takes a connection of which nothing was read. */
  take(socket: Socket, caller: Caller): void {
    const startedAtMs = performance.now();
    let received: Buffer = Buffer.alloc(0);
    const onData = (chunk: Buffer) => {
      received = received.length > 0 ? Buffer.concat([received, chunk]) : chunk;
      const protocol = protocolOf(received);
      if (!protocol) return;
      release();
      socket.pause();
      socket.unshift(received);
      this.#handler.onProtocol(protocol, socket, caller);
    };
    const giveUp = (code: ErrorCode) => {
      release();
      const waitedMs = performance.now() - startedAtMs;
      const receivedBytes = received.length;
      this.#handler.onUndecided({ socket, caller, receivedBytes, waitedMs, code });
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

  /** Gives up on every connection that has not told its protocol. */
  giveUp(code: ErrorCode): void {
    for (const giveUp of [...this.#waiting.values()]) giveUp(code);
  }
}

// 'close' follows and says all there is to say.
function onError(): void {}
