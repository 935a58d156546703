import type { Socket } from 'node:net';
import { Deadlines, relay, TunnelError } from '@fairlead/protocol';
import { type RefusalDetails, refuseHttp1 } from '../listeners/refusal.ts';
import type { Caller } from './caller.ts';
import type { FrontEndOptions } from './front-end-options.ts';
import { type Http1Head, Http1HeadReader } from './http1-head.ts';
import type { ProxiedStreams } from './proxied-streams.ts';

/** The request line of HTTP/2's preface (RFC 9113 section 3.4); no HTTP/1.1 request begins with it. */
const preface = Buffer.from('PRI * HTTP/2.0\r\n');

/**
 * No framing headers (RFC 9110 section 9.3.6), and nothing after the head: kube-apiserver fails a
 * dial when it sees a byte that the target cannot have sent yet.
 */
const established = 'HTTP/1.1 200 Connection established\r\n\r\n';

/** The protocol that the bytes begin; undefined while they may still become the preface. */
export function protocolOf(bytes: Buffer): 'http1' | 'http2' | undefined {
  const length = Math.min(bytes.length, preface.length);
  if (bytes.compare(preface, 0, length, 0, length) !== 0) return 'http1';
  return length === preface.length ? 'http2' : undefined;
}

/** A connection whose protocol or request is not known yet. */
interface Waiting {
  readonly caller: Caller;
  readonly startedAtMs: number;
  /** While the protocol is unknown: the beginning of a preface. */
  received: Buffer | undefined;
  /** Set once the protocol is HTTP/1.1. */
  head: Http1HeadReader | undefined;
  onHttp2: ((received: Buffer) => void) | undefined;
}

const kOwner = Symbol('owner');
type WaitingSocket = Socket & { [kOwner]?: ClientConnections };

/**
 * Client connections until their protocol is known and, for HTTP/1.1, until their request is complete. Serves one
 * CONNECT for each HTTP/1.1 connection and refuses everything else.
 */
export class ClientConnections {
  readonly #options: FrontEndOptions;
  readonly #streams: ProxiedStreams;
  readonly #waiting = new Map<Socket, Waiting>();
  readonly #deadlines: Deadlines<Socket>;

  constructor(options: FrontEndOptions, streams: ProxiedStreams) {
    this.#options = options;
    this.#streams = streams;
    const reason = `no complete request head within ${options.headTimeoutMs} ms`;
    this.#deadlines = new Deadlines(options.headTimeoutMs, (socket) =>
      this.#abandon(socket, new TunnelError('request_timeout', reason)),
    );
  }

  /**
   * Reads from a new connection.
   * @param onHttp2 receives the bytes that were read, if the connection is HTTP/2; without it, only HTTP/1.1 is served
   */
  take(socket: Socket, caller: Caller, onHttp2?: (received: Buffer) => void): void {
    const head = onHttp2 ? undefined : new Http1HeadReader(this.#options.maxHeadBytes);
    const startedAtMs = performance.now();
    this.#waiting.set(socket, { caller, startedAtMs, received: undefined, head, onHttp2 });
    (socket as WaitingSocket)[kOwner] = this;
    socket.on('data', onData);
    socket.on('end', onEnd);
    socket.on('error', onError);
    socket.on('close', onClose);
    this.#deadlines.add(socket);
  }

  /** Refuses every connection whose request is not complete. */
  giveUp(error: TunnelError): void {
    for (const socket of [...this.#waiting.keys()]) this.#abandon(socket, error);
  }

  onData(socket: Socket, chunk: Buffer): void {
    const waiting = this.#waiting.get(socket)!;
    let bytes = chunk;
    if (!waiting.head) {
      bytes = waiting.received ? Buffer.concat([waiting.received, chunk]) : chunk;
      waiting.received = bytes;
      const protocol = protocolOf(bytes);
      if (protocol === undefined) return;
      if (protocol === 'http2') {
        this.#settle(socket);
        waiting.onHttp2!(bytes);
        return;
      }
      waiting.head = new Http1HeadReader(this.#options.maxHeadBytes);
    }
    try {
      const head = waiting.head.push(bytes);
      if (head) this.#onHead(socket, waiting, head);
    } catch (error) {
      if (!(error instanceof TunnelError)) throw error;
      this.#refuse(socket, error);
    }
  }

  /** The client ended its side before its request was complete. */
  onEnd(socket: Socket): void {
    this.#abandon(socket, new TunnelError('bad_request', 'the request is not complete'));
  }

  onClose(socket: Socket): void {
    this.#settle(socket);
  }

  #onHead(socket: Socket, { caller }: Waiting, { method, target, version, rest }: Http1Head): void {
    const { mode } = this.#options;
    if (method !== 'CONNECT') {
      const error = new TunnelError(
        'method_not_allowed',
        `only CONNECT is served here, not ${method}`,
      );
      this.#refuse(socket, error, { allow: 'CONNECT', isHead: method === 'HEAD' });
      return;
    }
    if (version !== '1.1') {
      throw new TunnelError('bad_request', `CONNECT needs HTTP/1.1, not HTTP/${version}`);
    }
    if (mode === 'grpc') {
      throw new TunnelError('method_not_allowed', 'only gRPC is served here, not CONNECT');
    }
    this.#settle(socket);
    const startedAtMs = performance.now();
    let onGone = () => {};
    this.#streams.start({
      protocol: 'http1',
      caller,
      authority: target,
      startedAtMs,
      watch: (callback) => {
        onGone = () => callback();
        // 'close' follows each 'error'.
        socket.on('error', ignore);
        socket.once('close', onGone);
      },
      accept: (stream, options) => {
        socket.off('close', onGone);
        socket.write(established, 'latin1');
        // On Node 20, a spread is slow if it comes before other properties.
        relay(socket, stream, { first: rest, ...options });
      },
      refuse: (error, dialed) => {
        socket.off('close', onGone);
        refuseHttp1(socket, error, startedAtMs, { target: dialed });
      },
      undeliveredBytes: () => socket.readableLength + rest.length,
    });
  }

  /** Stops waiting for a request. Half a request is answered; a silent connection is just closed. */
  #abandon(socket: Socket, error: TunnelError): void {
    if (socket.bytesRead > 0) {
      this.#refuse(socket, error);
      return;
    }
    const waiting = this.#settle(socket);
    if (waiting && error.code === 'request_timeout' && !waiting.onHttp2) {
      this.#streams.reportRefusal(error, waiting.caller);
    }
    socket.destroy();
  }

  #refuse(socket: Socket, error: TunnelError, details?: RefusalDetails): void {
    const waiting = this.#settle(socket);
    if (!waiting) return;
    this.#streams.reportRefusal(error, waiting.caller);
    refuseHttp1(socket, error, waiting.startedAtMs, details);
  }

  /** Ends the wait. The socket is paused: what it receives is kept for the next reader. */
  #settle(socket: Socket): Waiting | undefined {
    const waiting = this.#waiting.get(socket);
    if (!waiting) return undefined;
    this.#waiting.delete(socket);
    this.#deadlines.delete(socket);
    socket.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose);
    socket.pause();
    return waiting;
  }
}

// All sockets share these listeners, so that a connection costs no closures.

function onData(this: WaitingSocket, chunk: Buffer): void {
  this[kOwner]?.onData(this, chunk);
}

function onEnd(this: WaitingSocket): void {
  this[kOwner]?.onEnd(this);
}

function onClose(this: WaitingSocket): void {
  this[kOwner]?.onClose(this);
}

/** 'close' follows each 'error'. */
function onError(): void {}
function ignore(): void {}
