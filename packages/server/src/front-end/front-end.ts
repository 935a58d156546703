import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { TunnelError } from '@fairlead/protocol';
import { peerAddress } from '@fairlead/runtime/net';
import { refusalOfPeer } from '@fairlead/runtime/tls';
import { Http2Connections } from '../http2/http2-connections.ts';
import { lingeringClose, refuseHttp1 } from '../listeners/refusal.ts';
import { TlsListener, type TlsListenerOptions } from '../listeners/tls-listener.ts';
import { UdsListener, type UdsListenerOptions } from '../listeners/uds-listener.ts';
import { type Caller, callerOfTls } from './caller.ts';
import { FirstBytes } from './first-bytes.ts';
import type { FrontEndOptions } from './front-end-options.ts';
import { Http1Connections } from './http1-connections.ts';
import { Http2Requests } from './http2-requests.ts';
import { ProxiedStreams } from './proxied-streams.ts';

/**
 * Where clients enter the server: any number of listeners, on TCP with mTLS or on Unix domain sockets, each for
 * HTTP/1.1 and HTTP/2.
 *
 * A client connection goes from its listener, which identifies the caller, to `#serve`, which gives it to the parser
 * of its protocol. The parser passes each CONNECT to `ProxiedStreams.start`, which dials, answers and relays.
 */
export class FrontEnd {
  readonly #options: FrontEndOptions;
  readonly #streams: ProxiedStreams;
  readonly #firstBytes: FirstBytes;
  readonly #http1: Http1Connections;
  readonly #http2: Http2Connections;
  readonly #http2Requests: Http2Requests;
  readonly #listeners: (TlsListener | UdsListener)[] = [];
  #draining = false;

  constructor(options: FrontEndOptions) {
    this.#options = options;
    this.#streams = new ProxiedStreams(options);
    this.#firstBytes = new FirstBytes(options.headTimeoutMs);
    this.#http1 = new Http1Connections(options, this.#streams);
    this.#http2 = new Http2Connections(options);
    this.#http2Requests = new Http2Requests(options, this.#streams);
  }

  /** Streams that are dialing or open. */
  get activeStreams(): number {
    return this.#streams.activeCount;
  }

  /** Listens on TCP with mTLS. @throws StartupError */
  async listenTls(options: TlsListenerOptions): Promise<TlsListener> {
    const { logger } = this.#options;
    const listener = new TlsListener(
      options,
      {
        name: 'frontend',
        flag: '--server-port',
        alpn: ['h2', 'http/1.1'],
        requestCert: true,
        failure: 'TLS client refused',
        onConnection: (socket) => {
          const reason = refusalOfPeer(socket);
          if (reason !== undefined) {
            this.#refuseTls(socket, reason);
            return;
          }
          options.handshakes?.end(socket);
          const protocol = socket.alpnProtocol === 'h2' ? 'http2' : 'http1';
          // The handshake may have begun before the drain.
          if (this.#draining) socket.destroy();
          else this.#serve(protocol, socket, callerOfTls(socket));
        },
      },
      logger,
    );
    await listener.listen();
    this.#listeners.push(listener);
    return listener;
  }

  /** Listens on a Unix domain socket. @throws StartupError, or UsageError if the path cannot be used */
  async listenUds(options: UdsListenerOptions): Promise<void> {
    const caller: Caller = { kind: 'uds', organizations: [], address: options.path };
    const onRefused = (error: TunnelError) => this.#streams.reportRefusal(error, caller);
    const listener = new UdsListener(options, this.#options.logger, (socket) =>
      this.#firstBytes.read(socket, (protocol) => this.#serve(protocol, socket, caller), onRefused),
    );
    await listener.listen();
    this.#listeners.push(listener);
  }

  /**
   * Takes no new connection and no new stream. HTTP/2 clients get GOAWAY; connections without a
   * request are closed. Resolves when the streams that were open have ended.
   */
  async drain(): Promise<void> {
    this.#draining = true;
    for (const listener of this.#listeners) listener.stop();
    this.#firstBytes.giveUp('shutting_down');
    this.#http1.giveUp(new TunnelError('shutting_down'));
    for (const session of this.#http2.sessions) session.close();
    await this.#streams.drain();
  }

  /** Ends everything at once, including streams; resolves when they have ended. */
  async destroyAll(error = new TunnelError('shutting_down')): Promise<void> {
    const drained = this.drain();
    this.#streams.destroyAll(error);
    for (const session of [...this.#http2.sessions]) session.destroy();
    for (const listener of this.#listeners) listener.destroyAll();
    await drained;
  }

  #serve(protocol: 'http1' | 'http2', socket: Socket, caller: Caller): void {
    if (protocol === 'http1') {
      this.#http1.take(socket, caller);
      return;
    }
    this.#http2.take(socket, {
      onRequest: (stream, headers) => this.#http2Requests.serve(stream, headers, caller),
      onSilent: () => this.#streams.reportRefusal(new TunnelError('request_timeout'), caller),
    });
  }

  /** Logs one line for each client whose certificate is missing or untrusted. */
  #refuseTls(socket: TLSSocket, reason: string): void {
    const fields = { listener: 'frontend', address: peerAddress(socket), reason };
    this.#options.logger.warn(fields, 'TLS client refused');
    // HTTP/2 gets no answer, but an orderly end: a reset could reach the client before the handshake's last bytes.
    if (socket.alpnProtocol === 'h2') lingeringClose(socket, '');
    else refuseHttp1(socket, new TunnelError('unauthenticated', reason));
  }
}
