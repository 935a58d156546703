import type { Socket } from 'node:net';
import {
  Deadlines,
  ownSocket,
  relay,
  type SocketOwner,
  TUNNEL_PATH,
  TunnelError,
} from '@fairlead/protocol';
import { type RefusalDetails, refuseHttp1 } from '../listeners/refusal.ts';
import { clientsPort } from '../listeners/wrong-port.ts';
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

/**
 * Client connections until their protocol is known and, for HTTP/1.1, until their request is complete. Serves one
 * CONNECT for each HTTP/1.1 connection and refuses everything else.
 */
export class ClientConnections {
  readonly options: FrontEndOptions;
  readonly streams: ProxiedStreams;
  /** The connections whose request is not complete. */
  readonly waiting: Deadlines<ClientConnection>;

  constructor(options: FrontEndOptions, streams: ProxiedStreams) {
    this.options = options;
    this.streams = streams;
    const reason = `no complete request head within ${options.headTimeoutMs} ms`;
    this.waiting = new Deadlines(options.headTimeoutMs, (connection) =>
      connection.abandon(new TunnelError('request_timeout', reason)),
    );
  }

  /**
   * Reads from a new connection.
   * @param onHttp2 receives the bytes that were read, if the connection is HTTP/2; without it, only HTTP/1.1 is served
   */
  take(socket: Socket, caller: Caller, onHttp2?: (received: Buffer) => void): void {
    const connection = new ClientConnection(this, socket, caller, onHttp2);
    this.waiting.add(connection);
    ownSocket(socket, connection);
  }

  /** Refuses every connection whose request is not complete. */
  giveUp(error: TunnelError): void {
    for (const connection of [...this.waiting.items()]) connection.abandon(error);
  }
}

/** One connection until another owner takes its socket: the relay, or HTTP/2. */
class ClientConnection implements SocketOwner {
  readonly #all: ClientConnections;
  readonly #socket: Socket;
  readonly #caller: Caller;
  readonly #onHttp2: ((received: Buffer) => void) | undefined;
  readonly #startedAtMs = performance.now();
  #phase: 'waiting' | 'dialing' | 'refused' = 'waiting';
  /** While the protocol is unknown: the beginning of a preface. During the dial: what follows the head. */
  #received: Buffer | undefined;
  /** Set once the protocol is HTTP/1.1. */
  #head: Http1HeadReader | undefined;
  /** The client has closed during the dial. */
  #onGone: (() => void) | undefined;

  constructor(
    all: ClientConnections,
    socket: Socket,
    caller: Caller,
    onHttp2: ((received: Buffer) => void) | undefined,
  ) {
    this.#all = all;
    this.#socket = socket;
    this.#caller = caller;
    this.#onHttp2 = onHttp2;
    if (!onHttp2) this.#head = new Http1HeadReader(all.options.maxHeadBytes);
  }

  onSocketData(chunk: Buffer): void {
    if (this.#phase === 'waiting') this.#read(chunk);
    else if (this.#phase === 'dialing') {
      this.#received = this.#received ? Buffer.concat([this.#received, chunk]) : chunk;
      this.#socket.pause();
    }
  }

  onSocketEnd(): void {
    if (this.#phase !== 'waiting') return;
    this.abandon(new TunnelError('bad_request', 'the request is not complete'));
  }

  onSocketError(): void {}

  onSocketClose(): void {
    this.#all.waiting.delete(this);
    if (this.#phase === 'dialing') this.#onGone?.();
  }

  /** Stops waiting for a request. Half a request is answered; a silent connection is just closed. */
  abandon(error: TunnelError): void {
    if (this.#socket.bytesRead > 0) {
      this.#refuse(error);
      return;
    }
    this.#all.waiting.delete(this);
    this.#phase = 'refused';
    if (error.code === 'request_timeout' && !this.#onHttp2) {
      this.#all.streams.reportRefusal(error, this.#caller);
    }
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    let bytes = chunk;
    if (!this.#head) {
      bytes = this.#received ? Buffer.concat([this.#received, chunk]) : chunk;
      this.#received = bytes;
      const protocol = protocolOf(bytes);
      if (protocol === undefined) return;
      this.#received = undefined;
      if (protocol === 'http2') {
        this.#all.waiting.delete(this);
        this.#onHttp2!(bytes);
        return;
      }
      this.#head = new Http1HeadReader(this.#all.options.maxHeadBytes);
    }
    try {
      const head = this.#head.push(bytes);
      if (head) this.#onHead(head);
    } catch (error) {
      if (!(error instanceof TunnelError)) throw error;
      this.#refuse(error);
    }
  }

  #onHead({ method, target, version, rest }: Http1Head): void {
    const { mode } = this.#all.options;
    if (method !== 'CONNECT') {
      const text = `only CONNECT is served here, not ${method}`;
      const isAgent = target === TUNNEL_PATH;
      const error = new TunnelError(
        'method_not_allowed',
        isAgent ? `${text}: ${clientsPort}` : text,
      );
      this.#refuse(error, { allow: 'CONNECT', isHead: method === 'HEAD' });
      return;
    }
    if (version !== '1.1') {
      throw new TunnelError('bad_request', `CONNECT needs HTTP/1.1, not HTTP/${version}`);
    }
    if (mode === 'grpc') {
      throw new TunnelError('method_not_allowed', 'only gRPC is served here, not CONNECT');
    }
    this.#all.waiting.delete(this);
    this.#phase = 'dialing';
    if (rest.length > 0) this.#received = rest;
    const socket = this.#socket;
    const startedAtMs = performance.now();
    this.#all.streams.start({
      protocol: 'http1',
      caller: this.#caller,
      authority: target,
      startedAtMs,
      watch: (onGone) => {
        this.#onGone = onGone;
      },
      accept: (stream, options) => {
        socket.write(established, 'latin1');
        // On Node 20, a spread is slow if it comes before other properties.
        relay(socket, stream, { first: this.#received, ...options });
      },
      refuse: (error, dialed) => {
        this.#phase = 'refused';
        refuseHttp1(socket, error, startedAtMs, { target: dialed });
      },
      undeliveredBytes: () => socket.readableLength + (this.#received?.length ?? 0),
    });
  }

  #refuse(error: TunnelError, details?: RefusalDetails): void {
    this.#all.waiting.delete(this);
    this.#phase = 'refused';
    this.#all.streams.reportRefusal(error, this.#caller);
    refuseHttp1(this.#socket, error, this.#startedAtMs, details);
  }
}
