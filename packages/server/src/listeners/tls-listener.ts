import type { AddressInfo, Socket } from 'node:net';
import { createServer, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls';
import { TunnelError } from '@fairlead/protocol';
import { listen, peerAddress } from '@fairlead/runtime/net';
import type { Logger } from '@fairlead/runtime/process';
import { type HandshakeLimit, refusalOfPeer } from '@fairlead/runtime/tls';
import { endLingering } from '../front-end/lingering-end.ts';
import { http1Refusal, refusalOf } from '../listeners/refusal.ts';

export interface TlsListenerOptions {
  /** Undefined: all addresses. */
  readonly host: string | undefined;
  /** 0 for an ephemeral port. */
  readonly port: number;
  /** A socket that another process has bound there. */
  readonly fd?: number | undefined;
  /** Certificate, key, the clients' CA, and what else narrows TLS down. */
  readonly tls: SecureContextOptions;
  readonly handshakeTimeoutMs: number;
  /** Idle time before TCP probes the client; 0 switches probes off. */
  readonly keepAliveMs: number;
  /** Of all listeners together; without it there is none. */
  readonly handshakes?: HandshakeLimit;
}

/** TCP with mTLS: hands on connections whose client certificate was verified. */
export class TlsListener {
  readonly #options: TlsListenerOptions;
  readonly #logger: Logger;
  readonly #server: Server;
  /** Every TCP connection, in its handshake or beyond. */
  readonly #connections = new Set<Socket>();
  #address: AddressInfo | undefined;

  constructor(
    options: TlsListenerOptions,
    logger: Logger,
    onConnection: (socket: TLSSocket) => void,
  ) {
    this.#options = options;
    this.#logger = logger;
    this.#server = createServer({
      ...options.tls,
      requestCert: true,
      // Refused in `#onSecured` instead, where the peer still has an address and can be told why.
      rejectUnauthorized: false,
      ALPNProtocols: ['h2', 'http/1.1'],
      handshakeTimeout: options.handshakeTimeoutMs,
      noDelay: true,
      keepAlive: options.keepAliveMs > 0,
      keepAliveInitialDelay: options.keepAliveMs,
    });
    this.#server.on('connection', this.#onTcpConnection);
    this.#server.on('secureConnection', (socket: TLSSocket) => {
      // Only now: a peer that ends its side during the handshake, as a port probe does, is gone.
      socket.allowHalfOpen = true;
      const reason = hasCertificate(socket)
        ? refusalOfPeer(socket)
        : 'no client certificate was given';
      if (reason !== undefined) {
        this.#refuse(socket, reason);
        return;
      }
      options.handshakes?.end(socket);
      onConnection(socket);
    });
    this.#server.on('tlsClientError', this.#onHandshakeFailed);
  }

  /** @throws StartupError that names `--server-port` */
  async listen(): Promise<void> {
    const { host, port, fd } = this.#options;
    const place = { listener: 'frontend', flag: '--server-port', host, port, fd };
    this.#address = await listen(this.#server, place, this.#logger);
  }

  /** Where it listens, once it does. */
  get address(): AddressInfo {
    return this.#address!;
  }

  /** Certificates for handshakes from now on; open connections go on. */
  setSecureContext(tls: SecureContextOptions): void {
    this.#server.setSecureContext(tls);
  }

  /** Stops accepting; connections go on. */
  stop(): void {
    this.#server.close();
  }

  /** Closes every connection at once, also those in their handshake. */
  destroyAll(): void {
    for (const socket of [...this.#connections]) socket.destroy();
  }

  #onTcpConnection = (socket: Socket): void => {
    this.#connections.add(socket);
    this.#options.handshakes?.begin(socket);
    socket.once('close', () => this.#connections.delete(socket));
  };

  /** One line per client whose certificate is missing or not to be trusted. */
  #refuse(socket: TLSSocket, reason: string): void {
    const fields = { listener: 'frontend', address: peerAddress(socket), reason };
    this.#logger.warn(fields, 'TLS client refused');
    // Over HTTP/2 an end without a word, but an end: a reset may overtake the handshake at the client.
    const error = new TunnelError('unauthenticated', reason);
    endLingering(socket, socket.alpnProtocol === 'h2' ? '' : http1Refusal(refusalOf(error, 0)));
  }

  #onHandshakeFailed = (error: NodeJS.ErrnoException, socket: TLSSocket): void => {
    const reason = error.code ?? error.message;
    const fields = { listener: 'frontend', address: peerAddress(socket), reason };
    // Node leaves a socket open whose handshake took too long.
    socket.destroy();
    // A port probe or a health check of a load balancer: no handshake was begun.
    if (error.code === 'ECONNRESET') {
      this.#logger.debug(fields, 'closed during the TLS handshake');
      return;
    }
    this.#logger.warn({ ...fields, detail: error.message }, 'TLS client refused');
  };
}

/**
 * To be asked before `authorized`: node calls every resumed TLS 1.3 session authorized that has no
 * certificate, and a client that was refused for having none still holds tickets.
 */
function hasCertificate(socket: TLSSocket): boolean {
  return Object.keys(socket.getPeerCertificate()).length > 0;
}
