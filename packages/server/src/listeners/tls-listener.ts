import type { AddressInfo, Socket } from 'node:net';
import { createServer, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls';
import { TunnelError } from '@fairlead/protocol';
import { listen, peerAddress } from '@fairlead/runtime/net';
import type { Logger } from '@fairlead/runtime/process';
import {
  endpointsOf,
  explainTlsFailure,
  type HandshakeLimit,
  isPlaintext,
} from '@fairlead/runtime/tls';
import { http1Refusal } from './refusal.ts';

/** What an operator chooses of a TLS listener. */
export interface TlsListenerOptions {
  /** Undefined: all addresses. */
  readonly host: string | undefined;
  /** 0 for an ephemeral port. */
  readonly port: number;
  /** A socket that another process has bound there. */
  readonly fd?: number | undefined;
  /** Certificate, key, the peers' CA, and further TLS settings. */
  readonly tls: SecureContextOptions;
  readonly handshakeTimeoutMs: number;
  /** Idle time before TCP probes the peer; 0 or left out: no probes. */
  readonly keepAliveMs?: number;
  /** Shared by all listeners; without it handshakes are not limited. */
  readonly handshakes?: HandshakeLimit;
}

/** What distinguishes one kind of TLS listener from another. */
export interface TlsListenerKind {
  /** The listener's name in logs. */
  readonly name: 'agent' | 'frontend';
  readonly flag: string;
  readonly alpn: string[];
  /** Whether a certificate is requested. It is not verified here: see `onConnection`. */
  readonly requestCert: boolean;
  /** The log message for a failed handshake. */
  readonly failure: string;
  /**
   * The handshake has ended. The receiver checks the certificate, which may be missing or untrusted: only after the
   * handshake can the server tell a peer why it is refused. A peer that is admitted leaves `handshakes`.
   */
  onConnection(socket: TLSSocket): void;
  /** A handshake failed, other than by a peer that left. */
  onHandshakeFailed?(): void;
}

/** TCP with TLS: the agent port, and front ends over TCP. */
export class TlsListener {
  /** Where it listens, after `listen()`. */
  address!: AddressInfo;
  readonly #options: TlsListenerOptions;
  readonly #kind: TlsListenerKind;
  readonly #logger: Logger;
  readonly #server: Server;
  /** All TCP connections, including those in their handshake. */
  readonly #connections = new Set<Socket>();
  /** Those in their handshake, by their addresses: Node does not link a TLS socket to its TCP socket. */
  readonly #handshakes = new Map<string, Socket>();

  constructor(options: TlsListenerOptions, kind: TlsListenerKind, logger: Logger) {
    const { tls, handshakeTimeoutMs, keepAliveMs = 0, handshakes } = options;
    this.#options = options;
    this.#kind = kind;
    this.#logger = logger;
    this.#server = createServer({
      ...tls,
      requestCert: kind.requestCert,
      rejectUnauthorized: false,
      ALPNProtocols: kind.alpn,
      handshakeTimeout: handshakeTimeoutMs,
      noDelay: true,
      keepAlive: keepAliveMs > 0,
      keepAliveInitialDelay: keepAliveMs,
    });
    this.#server.on('connection', (socket: Socket) => {
      this.#connections.add(socket);
      const endpoints = endpointsOf(socket);
      this.#handshakes.set(endpoints, socket);
      handshakes?.begin(socket);
      socket.once('close', () => {
        this.#connections.delete(socket);
        if (this.#handshakes.get(endpoints) === socket) this.#onDeparture(socket, endpoints);
      });
    });
    this.#server.on('secureConnection', (socket: TLSSocket) => {
      this.#handshakes.delete(endpointsOf(socket));
      // Not earlier: a peer that ends its side during the handshake, as a port probe does, has gone.
      socket.allowHalfOpen = true;
      kind.onConnection(socket);
    });
    this.#server.on('tlsClientError', this.#onHandshakeFailed);
  }

  /** @throws StartupError that names the flag */
  async listen(): Promise<AddressInfo> {
    const { host, port, fd } = this.#options;
    const { name, flag } = this.#kind;
    const at = { listener: name, flag, host, port, fd };
    this.address = await listen(this.#server, at, this.#logger);
    return this.address;
  }

  /** Takes a TCP connection that another process accepted. */
  take(socket: Socket): void {
    socket.setNoDelay(true);
    this.#server.emit('connection', socket);
  }

  /** Sets the certificates for new handshakes; open connections go on. */
  setSecureContext(tls: SecureContextOptions): void {
    this.#server.setSecureContext(tls);
  }

  /** Stops accepting; connections go on. */
  stop(): void {
    this.#server.close();
  }

  /** Closes all connections at once, including those in their handshake. */
  destroyAll(): void {
    for (const socket of [...this.#connections]) socket.destroy();
  }

  #onHandshakeFailed = (error: NodeJS.ErrnoException, socket: TLSSocket): void => {
    // The peer has left: `#onDeparture`.
    if (error.code === 'ECONNRESET') return;
    const { name, failure, onHandshakeFailed } = this.#kind;
    const reason = error.code ?? error.message;
    const fields = { listener: name, address: peerAddress(socket), reason };
    const endpoints = endpointsOf(socket);
    const raw = this.#handshakes.get(endpoints);
    this.#handshakes.delete(endpoints);
    if (raw && isPlaintext(error)) this.#answerPlaintext(raw);
    // After a handshake timeout Node leaves the socket open.
    socket.destroy();
    onHandshakeFailed?.();
    this.#logger.warn({ ...fields, detail: explainTlsFailure(error) }, failure);
  };

  /** The peer knows no TLS. The bytes pass below the TLS socket, which Node closes after this tick. */
  #answerPlaintext(raw: Socket): void {
    const text = `${this.#kind.flag}: this port needs TLS: use https:// instead of http://`;
    raw.on('error', () => {});
    raw.write(http1Refusal(new TunnelError('bad_request', text)));
  }

  /** A connection ends during its handshake: with nothing sent, it was a port probe or a health check. */
  #onDeparture(raw: Socket, endpoints: string): void {
    this.#handshakes.delete(endpoints);
    const fields = { listener: this.#kind.name, address: peerAddress(raw) };
    const message = 'closed during the TLS handshake';
    if (raw.bytesWritten > 0 && this.#server.listening) {
      const detail = "the peer may have refused this server's certificate; see the peer's log";
      this.#logger.info({ ...fields, detail }, message);
    } else this.#logger.debug(fields, message);
  }
}
