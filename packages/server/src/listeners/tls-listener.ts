import type { AddressInfo, Socket } from 'node:net';
import { createServer, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls';
import { listen, peerAddress } from '@fairlead/runtime/net';
import type { Logger } from '@fairlead/runtime/process';
import type { HandshakeLimit } from '@fairlead/runtime/tls';

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
      handshakes?.begin(socket);
      socket.once('close', () => this.#connections.delete(socket));
    });
    this.#server.on('secureConnection', (socket: TLSSocket) => {
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
    const { name, failure, onHandshakeFailed } = this.#kind;
    const reason = error.code ?? error.message;
    const fields = { listener: name, address: peerAddress(socket), reason };
    // After a handshake timeout Node leaves the socket open.
    socket.destroy();
    // A port probe, or a load balancer's health check: it began no handshake.
    if (error.code === 'ECONNRESET') {
      this.#logger.debug(fields, 'closed during the TLS handshake');
      return;
    }
    onHandshakeFailed?.();
    this.#logger.warn({ ...fields, detail: error.message }, failure);
  };
}
