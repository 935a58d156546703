import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TunnelError } from '@fairlead/protocol';
import { type RefusalDetails, refuseHttp1 } from '../listeners/refusal.ts';
import type { Caller } from './caller.ts';
import type { FrontEndOptions } from './front-end-options.ts';
import type { ProxiedStreams } from './proxied-streams.ts';

/**
 * No framing headers (RFC 9110 section 9.3.6), and nothing after the head: kube-apiserver fails a
 * dial when it sees a byte that the target cannot have sent yet.
 */
const established = Buffer.from('HTTP/1.1 200 Connection established\r\n\r\n');

/** A connection whose request is not complete. */
interface Waiting {
  readonly caller: Caller;
  readonly startedAtMs: number;
  readonly deadline: NodeJS.Timeout;
  readonly onClose: () => void;
}

/**
 * Reads one CONNECT from each HTTP/1.1 connection and refuses everything else. A `node:http` server parses.
 * It never listens, and its own timeouts run only while it listens, so the deadline is kept here.
 */
export class Http1Connections {
  readonly #options: FrontEndOptions;
  readonly #streams: ProxiedStreams;
  readonly #server: Server;
  /**
   * A connection leaves as soon as it is refused, although the parser still reads it; what the parser finds then is
   * ignored.
   */
  readonly #waiting = new Map<Duplex, Waiting>();

  constructor(options: FrontEndOptions, streams: ProxiedStreams) {
    this.#options = options;
    this.#streams = streams;
    this.#server = createServer({
      maxHeaderSize: options.maxHeadBytes,
      insecureHTTPParser: false,
      // A CONNECT does not need the Host header, and a GET without it deserves the same answer as any other.
      requireHostHeader: false,
    });
    this.#server.on('connect', this.#onConnect);
    this.#server.on('clientError', this.#onClientError);
    // Without the second and third, Node answers such requests itself.
    for (const event of ['request', 'checkContinue', 'checkExpectation'] as const) {
      this.#server.on(event, this.#onOtherRequest);
    }
  }

  /** Takes a connection; bytes that were read from it must have been put back. */
  take(socket: Socket, caller: Caller): void {
    const deadline = setTimeout(this.#onDeadline, this.#options.headTimeoutMs, socket);
    const onClose = () => this.#settle(socket, waiting);
    const waiting: Waiting = { caller, startedAtMs: performance.now(), deadline, onClose };
    this.#waiting.set(socket, waiting);
    socket.once('close', onClose);
    this.#server.emit('connection', socket);
    socket.resume();
  }

  /** Refuses every connection whose request is not complete. */
  giveUp(error: TunnelError): void {
    for (const socket of [...this.#waiting.keys()]) this.#abandon(socket as Socket, error);
  }

  #onConnect = (request: IncomingMessage, duplex: Duplex, head: Buffer): void => {
    const socket = duplex as Socket;
    const waiting = this.#waiting.get(socket);
    if (!waiting) {
      // A CONNECT after a refused request: Node has released the socket, so what follows is discarded here.
      socket.resume();
      return;
    }
    if (request.httpVersion !== '1.1') {
      const reason = `CONNECT needs HTTP/1.1, not HTTP/${request.httpVersion}`;
      this.#refuse(socket, new TunnelError('bad_request', reason));
      return;
    }
    // The parser counts names and values, not what separates them.
    if (socket.bytesRead - head.length > this.#options.maxHeadBytes) {
      this.#refuse(socket, this.#headTooLarge());
      return;
    }
    if (this.#options.mode === 'grpc') {
      const reason = 'only gRPC is served here, not CONNECT';
      this.#refuse(socket, new TunnelError('method_not_allowed', reason));
      return;
    }
    this.#settle(socket, waiting);
    if (head.length > 0) socket.unshift(head);
    const startedAtMs = performance.now();
    this.#streams.start({
      protocol: 'http1',
      caller: waiting.caller,
      authority: request.url ?? '',
      duplex: socket,
      startedAtMs,
      accept: () => {
        socket.write(established);
      },
      refuse: (error, target) => refuseHttp1(socket, error, startedAtMs, { target }),
    });
  };

  #onOtherRequest = (request: IncomingMessage): void => {
    // Discards the body.
    request.resume();
    const reason = `only CONNECT is served here, not ${request.method}`;
    const error = new TunnelError('method_not_allowed', reason);
    this.#refuse(request.socket, error, { allow: 'CONNECT', isHead: request.method === 'HEAD' });
  };

  #onClientError = (error: NodeJS.ErrnoException, duplex: Duplex): void => {
    const socket = duplex as Socket;
    if (error.code === 'HPE_HEADER_OVERFLOW') {
      this.#refuse(socket, this.#headTooLarge());
    } else if (error.code?.startsWith('HPE_')) {
      const reason = `the request is not HTTP/1.1: ${error.message}`;
      this.#refuse(socket, new TunnelError('bad_request', reason));
    } else {
      socket.destroy();
    }
  };

  #onDeadline = (socket: Socket): void => {
    const reason = `no complete request head within ${this.#options.headTimeoutMs} ms`;
    this.#abandon(socket, new TunnelError('request_timeout', reason));
  };

  #headTooLarge(): TunnelError {
    const reason = `the request head is longer than ${this.#options.maxHeadBytes} bytes`;
    return new TunnelError('head_too_large', reason);
  }

  /** Stops waiting for a request. Half a request is answered; a silent connection is just closed. */
  #abandon(socket: Socket, error: TunnelError): void {
    if (socket.bytesRead > 0) {
      this.#refuse(socket, error);
      return;
    }
    const waiting = this.#waiting.get(socket)!;
    this.#settle(socket, waiting);
    this.#streams.reportRefusal(error, waiting.caller);
    socket.destroy();
  }

  #refuse(socket: Socket, error: TunnelError, details?: RefusalDetails): void {
    const waiting = this.#waiting.get(socket);
    if (!waiting) return;
    this.#settle(socket, waiting);
    this.#streams.reportRefusal(error, waiting.caller);
    refuseHttp1(socket, error, waiting.startedAtMs, details);
  }

  #settle(socket: Duplex, waiting: Waiting): void {
    clearTimeout(waiting.deadline);
    socket.off('close', waiting.onClose);
    this.#waiting.delete(socket);
  }
}
