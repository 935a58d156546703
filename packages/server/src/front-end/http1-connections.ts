import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TunnelError } from '@fairlead/protocol';
import { http1Refusal, refusalOf } from '../listeners/refusal.ts';
import type { Caller } from './dial.ts';
import { endLingering } from './lingering-end.ts';

export interface Http1Options {
  /** Request line and headers together. */
  readonly maxHeadBytes: number;
  /** From the start of the connection to the end of the request's head. */
  readonly headTimeoutMs: number;
  /** A CONNECT of HTTP/1.1; what arrived behind the head is in the socket again. */
  onConnect(authority: string, socket: Socket, caller: Caller): void;
  /** A connection that was refused or closed without a CONNECT. */
  onRefused(error: TunnelError, caller: Caller): void;
}

interface Waiting {
  readonly caller: Caller;
  readonly startedAtMs: number;
  readonly deadline: NodeJS.Timeout;
  readonly onClose: () => void;
}

/**
 * Reads one CONNECT from each HTTP/1.1 connection and refuses all else. A `node:http` server parses;
 * it never listens, and since its own timeouts run only while it listens, the deadline is ours.
 */
export class Http1Connections {
  readonly #options: Http1Options;
  readonly #server: Server;
  /**
   * Connections without a decision. A refused one leaves at once although the parser still reads
   * it, so that whatever the parser finds next is ignored.
   */
  readonly #waiting = new Map<Duplex, Waiting>();

  constructor(options: Http1Options) {
    this.#options = options;
    this.#server = createServer({
      maxHeaderSize: options.maxHeadBytes,
      insecureHTTPParser: false,
      // The Host header plays no part in a CONNECT, and its absence is no better answer to a GET.
      requireHostHeader: false,
    });
    this.#server.on('connect', this.#onConnect);
    this.#server.on('clientError', this.#onClientError);
    // Without the second and third node answers such requests itself.
    for (const event of ['request', 'checkContinue', 'checkExpectation'] as const) {
      this.#server.on(event, this.#onOtherRequest);
    }
  }

  /** Takes a connection; bytes that were read before must be back in the socket. */
  take(socket: Socket, caller: Caller): void {
    const deadline = setTimeout(this.#onDeadline, this.#options.headTimeoutMs, socket);
    const onClose = () => this.#settle(socket, waiting);
    const waiting: Waiting = { caller, startedAtMs: performance.now(), deadline, onClose };
    this.#waiting.set(socket, waiting);
    socket.once('close', onClose);
    this.#server.emit('connection', socket);
    socket.resume();
  }

  /** Refuses every connection that has not sent its request. */
  giveUp(error: TunnelError): void {
    for (const socket of [...this.#waiting.keys()]) this.#abandon(socket as Socket, error);
  }

  #onConnect = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const waiting = this.#waiting.get(socket);
    if (!waiting) {
      // A CONNECT behind a refused request: node has let go of the socket, so that what follows
      // must be thrown away here.
      socket.resume();
      return;
    }
    if (request.httpVersion !== '1.1') {
      const text = `CONNECT needs HTTP/1.1, not HTTP/${request.httpVersion}`;
      this.#refuse(socket as Socket, new TunnelError('bad_request', text));
      return;
    }
    // The parser counts names and values, not what is between them.
    if ((socket as Socket).bytesRead - head.length > this.#options.maxHeadBytes) {
      this.#refuse(socket as Socket, this.#headTooLarge());
      return;
    }
    this.#settle(socket, waiting);
    if (head.length > 0) socket.unshift(head);
    this.#options.onConnect(request.url ?? '', socket as Socket, waiting.caller);
  };

  #onOtherRequest = (request: IncomingMessage): void => {
    // A body is discarded like all else behind a refused request.
    request.resume();
    const text = `only CONNECT is served here, not ${request.method}`;
    const error = new TunnelError('method_not_allowed', text);
    this.#refuse(request.socket, error, 'CONNECT', request.method === 'HEAD');
  };

  #onClientError = (error: NodeJS.ErrnoException, socket: Duplex): void => {
    if (error.code === 'HPE_HEADER_OVERFLOW') {
      this.#refuse(socket as Socket, this.#headTooLarge());
    } else if (error.code?.startsWith('HPE_')) {
      const text = `the request is not HTTP/1.1: ${error.message}`;
      this.#refuse(socket as Socket, new TunnelError('bad_request', text));
    } else {
      socket.destroy();
    }
  };

  #onDeadline = (socket: Socket): void => {
    const text = `no complete request head within ${this.#options.headTimeoutMs} ms`;
    this.#abandon(socket, new TunnelError('request_timeout', text));
  };

  #headTooLarge(): TunnelError {
    const text = `the request head is longer than ${this.#options.maxHeadBytes} bytes`;
    return new TunnelError('head_too_large', text);
  }

  /** Ends a wait: there is an answer for half a request only, for nothing there is none. */
  #abandon(socket: Socket, error: TunnelError): void {
    if (socket.bytesRead > 0) {
      this.#refuse(socket, error);
      return;
    }
    const waiting = this.#waiting.get(socket)!;
    this.#settle(socket, waiting);
    this.#options.onRefused(error, waiting.caller);
    socket.destroy();
  }

  #refuse(socket: Socket, error: TunnelError, allow?: string, isHead = false): void {
    const waiting = this.#waiting.get(socket);
    if (!waiting) return;
    this.#settle(socket, waiting);
    this.#options.onRefused(error, waiting.caller);
    const elapsedMs = performance.now() - waiting.startedAtMs;
    endLingering(socket, http1Refusal(refusalOf(error, elapsedMs, undefined, allow), isHead));
  }

  #settle(socket: Duplex, waiting: Waiting): void {
    clearTimeout(waiting.deadline);
    socket.off('close', waiting.onClose);
    this.#waiting.delete(socket);
  }
}
