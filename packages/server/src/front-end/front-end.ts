import type { ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { type MemoryBudget, TunnelError } from '@fairlead/protocol';
import type { Logger } from '@fairlead/runtime/process';
import { Http2Connections } from '../http2/http2-connections.ts';
import { http1Refusal, refusalOf } from '../listeners/refusal.ts';
import { TlsListener, type TlsListenerOptions } from '../listeners/tls-listener.ts';
import { UdsListener, type UdsListenerOptions } from '../listeners/uds-listener.ts';
import type { AbandonLimitOptions } from './abandon-limit.ts';
import { callerName, callerOfTls, callerOfUds } from './caller.ts';
import type { Caller, Dial } from './dial.ts';
import { FirstBytes, type UndecidedConnection } from './first-bytes.ts';
import type { FrontEndObserver } from './front-end-options.ts';
import { type GrpcObserver, serveGrpcRequest } from './grpc/grpc-requests.ts';
import { Http1Connections } from './http1-connections.ts';
import { routeHttp1Connect } from './http1-requests.ts';
import {
  type FrontEndMode,
  type GrpcHandler,
  type Http2Routes,
  routeHttp2Request,
} from './http2-requests.ts';
import { endLingering } from './lingering-end.ts';
import type { StreamRequest } from './proxied-stream.ts';
import { Exchanges } from './proxied-streams.ts';
import { openLimits, type StreamLimitOptions, StreamLimits } from './stream-limits.ts';

export interface FrontEndOptions {
  readonly dial: Dial;
  readonly logger: Logger;
  /** Told of every stream, however it ends. */
  readonly accessLog?: Logger;
  readonly observer: FrontEndObserver;
  /** Undefined: HTTP CONNECT and gRPC. */
  readonly mode?: FrontEndMode;
  /** Told of gRPC calls; without it they are answered UNIMPLEMENTED. */
  readonly grpcObserver?: GrpcObserver;
  /** For a connection to say anything, and then for a request's head to be complete. */
  readonly headTimeoutMs: number;
  readonly maxHeadBytes: number;
  readonly abandonLimit?: AbandonLimitOptions;
  /** Left out: no limits but that on abandoned dials. */
  readonly limits?: StreamLimitOptions;
  /** Counts what clients make the front end hold. */
  readonly memory?: MemoryBudget;
}

/**
 * Where clients enter the server: any number of listeners, TCP with mTLS or Unix domain sockets,
 * each for HTTP/1.1 and HTTP/2. A connection goes from its listener, which knows the caller, to the
 * parser of its protocol, and each request from there to an exchange, which dials and relays.
 */
export class FrontEnd {
  readonly #options: FrontEndOptions;
  readonly #routes: Http2Routes;
  readonly #exchanges: Exchanges;
  readonly #http1: Http1Connections;
  readonly #http2: Http2Connections;
  readonly #firstBytes: FirstBytes;
  readonly #listeners: (TlsListener | UdsListener)[] = [];
  readonly #sessions = new Set<ServerHttp2Session>();
  #draining = false;

  constructor(options: FrontEndOptions) {
    this.#options = options;
    const { dial, logger, observer, headTimeoutMs, maxHeadBytes, memory, accessLog } = options;
    const { abandonLimit, limits: given = openLimits } = options;
    const limits = new StreamLimits({ ...given, ...(abandonLimit && { abandonLimit }) });
    const shared = { ...(memory && { memory }), ...(accessLog && { accessLog }) };
    this.#exchanges = new Exchanges({ dial, logger, observer, limits, ...shared });
    this.#routes = {
      mode: options.mode,
      onGrpc: options.grpcObserver && this.#grpcHandler(options.grpcObserver),
      onConnect: (request) => this.#exchanges.start(request),
      onRefused: this.#onRefused,
    };
    this.#http1 = new Http1Connections({
      maxHeadBytes,
      headTimeoutMs,
      onConnect: (authority, socket, caller) =>
        routeHttp1Connect(this.#routes, authority, socket, caller),
      onRefused: this.#onRefused,
    });
    this.#http2 = new Http2Connections({ headTimeoutMs, maxHeadBytes, ...(memory && { memory }) });
    this.#firstBytes = new FirstBytes(headTimeoutMs, {
      onProtocol: this.#onProtocol,
      onUndecided: this.#onUndecided,
    });
  }

  /** Streams that are dialling or open. */
  get activeStreams(): number {
    return this.#exchanges.activeCount;
  }

  /** Listens on TCP with mTLS. @throws StartupError */
  async listenTls(options: TlsListenerOptions): Promise<TlsListener> {
    const listener = new TlsListener(options, this.#options.logger, (socket) =>
      this.#onTlsConnection(socket),
    );
    await listener.listen();
    this.#listeners.push(listener);
    return listener;
  }

  /** Listens on a Unix domain socket. @throws StartupError, or UsageError for a path that cannot be */
  async listenUds(options: UdsListenerOptions): Promise<UdsListener> {
    const caller = callerOfUds(options.path);
    const listener = new UdsListener(options, this.#options.logger, (socket) =>
      this.#firstBytes.take(socket, caller),
    );
    await listener.listen();
    this.#listeners.push(listener);
    return listener;
  }

  /**
   * Takes no new connection and no new stream; HTTP/2 clients get GOAWAY, connections without a
   * request are closed. Resolves when the streams that were open have ended.
   */
  async drain(): Promise<void> {
    this.#draining = true;
    for (const listener of this.#listeners) listener.stop();
    this.#firstBytes.giveUp('shutting_down');
    this.#http1.giveUp(new TunnelError('shutting_down'));
    for (const session of this.#sessions) session.close();
    await this.#exchanges.drain();
  }

  /** Ends everything at once, also streams; resolves when they have. */
  async destroyAll(error = new TunnelError('shutting_down')): Promise<void> {
    const drained = this.drain();
    this.#exchanges.destroyAll(error);
    for (const session of [...this.#sessions]) session.destroy();
    for (const listener of this.#listeners) listener.destroyAll();
    await drained;
  }

  #grpcHandler(observer: GrpcObserver): GrpcHandler {
    const routes = {
      observer,
      headTimeoutMs: this.#options.headTimeoutMs,
      onConnect: (request: StreamRequest) => this.#exchanges.start(request),
      onRefused: this.#onRefused,
      onHeldUp: (isHeldUp: boolean) => observer.onHeldUp(isHeldUp),
      onWritten: (durationMs: number) => observer.onWritten(durationMs),
    };
    return (stream, headers, caller) => serveGrpcRequest(routes, stream, headers, caller);
  }

  #onTlsConnection(socket: TLSSocket): void {
    if (this.#draining) {
      // Its handshake was under way when the draining began.
      socket.destroy();
      return;
    }
    const caller = callerOfTls(socket);
    if (socket.alpnProtocol === 'h2') this.#takeHttp2(socket, caller);
    else this.#http1.take(socket, caller);
  }

  #onProtocol = (protocol: 'http1' | 'http2', socket: Socket, caller: Caller): void => {
    if (protocol === 'http2') this.#takeHttp2(socket, caller);
    else this.#http1.take(socket, caller);
  };

  #onUndecided = ({ socket, caller, receivedBytes, waitedMs, code }: UndecidedConnection): void => {
    if (receivedBytes === 0 || socket.destroyed) {
      socket.destroy();
      return;
    }
    const error = new TunnelError(code);
    this.#onRefused(error, caller);
    endLingering(socket, http1Refusal(refusalOf(error, waitedMs)));
  };

  #takeHttp2(socket: Socket, caller: Caller): void {
    const session = this.#http2.take(socket, {
      onRequest: (stream, headers) => routeHttp2Request(this.#routes, stream, headers, caller),
      onSilent: () => this.#onRefused(new TunnelError('request_timeout'), caller),
    });
    this.#sessions.add(session);
    session.once('close', () => this.#sessions.delete(session));
  }

  #onRefused = (error: TunnelError, caller: Caller): void => {
    this.#options.observer.onRefused(error.code);
    const fields = { caller: callerName(caller), address: caller.address, code: error.code };
    this.#options.logger.warn({ ...fields, detail: error.message }, 'request refused');
  };
}
