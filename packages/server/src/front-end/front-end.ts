import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Http2Stream } from '@fairlead/http2';
import { refusalFrame, TUNNEL_ALPN, TunnelError } from '@fairlead/protocol';
import { peerAddress } from '@fairlead/runtime/net';
import { refusalOfPeer } from '@fairlead/runtime/tls';
import { Http2Connections } from '../http2/http2-connections.ts';
import { lingeringClose, refuseHttp1 } from '../listeners/refusal.ts';
import { TlsListener, type TlsListenerOptions } from '../listeners/tls-listener.ts';
import { UdsListener, type UdsListenerOptions } from '../listeners/uds-listener.ts';
import { clientsPort } from '../listeners/wrong-port.ts';
import { type Caller, callerOfTls } from './caller.ts';
import { ClientConnections } from './client-connections.ts';
import type { FrontEndOptions } from './front-end-options.ts';
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
  readonly #clients: ClientConnections;
  readonly #http2: Http2Connections;
  readonly #http2Requests: Http2Requests;
  readonly #listeners: (TlsListener | UdsListener)[] = [];
  #draining = false;

  constructor(options: FrontEndOptions) {
    this.#options = options;
    this.#streams = new ProxiedStreams(options);
    this.#clients = new ClientConnections(options, this.#streams);
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
        // An agent is admitted only to learn that this is the wrong port.
        alpn: ['h2', 'http/1.1', TUNNEL_ALPN],
        requestCert: true,
        failure: 'TLS client refused',
        onConnection: (socket) => {
          const isAgent = socket.alpnProtocol === TUNNEL_ALPN;
          const reason = isAgent ? 'an agent' : refusalOfPeer(socket);
          if (reason !== undefined) {
            this.#refuseTls(socket, reason);
            return;
          }
          options.handshakes?.end(socket);
          // The handshake may have begun before the drain.
          if (this.#draining) socket.destroy();
          else if (socket.alpnProtocol === 'h2') this.#serveHttp2(socket, callerOfTls(socket));
          else this.#clients.take(socket, callerOfTls(socket));
        },
      },
      logger,
    );
    await listener.listen();
    this.#listeners.push(listener);
    return listener;
  }

  /** Listens on a Unix domain socket. @throws StartupError, or UsageError if the path cannot be used */
  async listenUds(options: UdsListenerOptions): Promise<UdsListener> {
    const caller: Caller = { kind: 'uds', organizations: [], address: options.path };
    const listener = new UdsListener(options, this.#options.logger, (socket) =>
      this.#clients.take(socket, caller, (received) => this.#serveHttp2(socket, caller, received)),
    );
    await listener.listen();
    this.#listeners.push(listener);
    return listener;
  }

  /**
   * Takes no new connection and no new stream. HTTP/2 clients get GOAWAY; connections without a
   * request are closed. Resolves when the streams that were open have ended.
   */
  async drain(): Promise<void> {
    this.#draining = true;
    for (const listener of this.#listeners) listener.stop();
    this.#clients.giveUp(new TunnelError('shutting_down'));
    for (const connection of this.#http2.open) connection.drain();
    await this.#streams.drain();
  }

  /** Ends everything at once, including streams; resolves when they have ended. */
  async destroyAll(error = new TunnelError('shutting_down')): Promise<void> {
    const drained = this.drain();
    this.#streams.destroyAll(error);
    for (const connection of this.#http2.open) connection.destroy();
    for (const listener of this.#listeners) listener.destroyAll();
    await drained;
  }

  #serveHttp2(socket: Socket, caller: Caller, received?: Buffer): void {
    const onSilent = () => this.#streams.reportRefusal(new TunnelError('request_timeout'), caller);
    const onRequest = (stream: Http2Stream) => this.#http2Requests.serve(stream, caller);
    this.#http2.take(socket, { onRequest, onSilent }, received);
  }

  /** Logs one line for each agent, and for each client whose certificate is missing or untrusted. */
  #refuseTls(socket: TLSSocket, reason: string): void {
    const fields = { listener: 'frontend', address: peerAddress(socket), reason };
    this.#options.logger.warn(fields, 'TLS client refused');
    if (socket.alpnProtocol === TUNNEL_ALPN) {
      lingeringClose(socket, refusalFrame(new TunnelError('bad_request', clientsPort)));
      return;
    }
    const error = new TunnelError('unauthenticated', `${reason}; ${clientsPort}`);
    if (socket.alpnProtocol === 'h2') this.#http2.refuse(socket, error);
    else refuseHttp1(socket, error);
  }
}
