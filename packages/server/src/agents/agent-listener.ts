import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { createServer, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls';
import {
  DuplexTransport,
  HTTP2_WINDOW_BYTES,
  type MemoryBudget,
  refusalFrame,
  type Transport,
  TUNNEL_ALPN,
  TunnelError,
  toTunnelError,
} from '@fairlead/protocol';
import { listen, peerAddress } from '@fairlead/runtime/net';
import type { Logger } from '@fairlead/runtime/process';
import { type HandshakeLimit, refusalOfPeer } from '@fairlead/runtime/tls';
import { callerOfTls } from '../front-end/caller.ts';
import { endLingering } from '../front-end/lingering-end.ts';
import { Http2Connections } from '../http2/http2-connections.ts';
import { http1Refusal, refusalOf } from '../listeners/refusal.ts';
import type { AgentPeer } from './agent-peer.ts';
import { certificateOf } from './auth/agent-certificate.ts';
import type { TokenAuthenticator } from './auth/token-authenticator.ts';
import { Http2Tunnels } from './http2-tunnels.ts';
import { WebSocketTunnels } from './websocket-tunnels.ts';

/** An HTTP/2 connection carries one tunnel. One more may follow while it ends; nobody needs thousands. */
const maxTunnelsPerConnection = 16;

export interface AgentListenerOptions {
  readonly host: string | undefined;
  /** 0 for an ephemeral port. */
  readonly port: number;
  /** A socket that another process has bound there. */
  readonly fd?: number | undefined;
  /** Certificate, key and the agents' CA, which may be left out only if there are `tokens`. */
  readonly tls: SecureContextOptions;
  /** Judges a token of each agent, beside its certificate if one is asked for. */
  readonly tokens?: TokenAuthenticator | undefined;
  readonly handshakeTimeoutMs: number;
  /** From the TLS handshake to a complete request for a tunnel. */
  readonly headTimeoutMs: number;
  readonly maxHeadBytes: number;
  /** Of all listeners together; without it there is none. */
  readonly handshakes?: HandshakeLimit;
  /** Counts what connections hold because their peers do not read. */
  readonly memory?: MemoryBudget;
  readonly logger: Logger;
  /** Why a peer with a valid certificate may not come in all the same. */
  whyDenied?(peer: AgentPeer): string | undefined;
  /**
   * A peer that was admitted has opened a tunnel.
   * @param identify given if a token is wanted that has still to come, in HELLO (spec 2.12)
   */
  onTunnel(transport: Transport, peer: AgentPeer, identify?: IdentifyByToken): void;
  /** A Konnectivity agent that was admitted calls. Without it such calls are answered UNIMPLEMENTED. */
  onAgentCall?(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, peer: AgentPeer): void;
  onRefused(reason: string): void;
  /** A TLS handshake succeeded, whether or not the peer is admitted then. */
  onHandshake(isResumed: boolean): void;
}

/**
 * Finds out who a peer is by its token.
 * @throws TunnelError after which the peer is to be refused; it is counted and logged
 */
export type IdentifyByToken = (token: string | undefined) => Promise<AgentPeer>;

/**
 * The port for agents: TLS, mutual unless tokens do it alone, and behind it every transport of docs/spec.md section 10, told apart by
 * ALPN. Whether a peer is admitted is decided before any of them sees the socket.
 */
export class AgentListener {
  readonly #options: AgentListenerOptions;
  readonly #server: Server;
  readonly #webSockets: WebSocketTunnels;
  readonly #http2: Http2Tunnels;
  readonly #connections = new Set<Socket>();

  constructor(options: AgentListenerOptions) {
    this.#options = options;
    this.#webSockets = new WebSocketTunnels(options.headTimeoutMs);
    this.#http2 = new Http2Tunnels(
      new Http2Connections({
        headTimeoutMs: options.headTimeoutMs,
        maxHeadBytes: options.maxHeadBytes,
        idleTimeoutMs: options.headTimeoutMs,
        streamWindowBytes: HTTP2_WINDOW_BYTES,
        maxConcurrentStreams: maxTunnelsPerConnection,
        ...(options.memory && { memory: options.memory }),
      }),
    );
    this.#server = createServer({
      ...options.tls,
      requestCert: this.#wantsCertificate,
      // Refused in `#admit` instead, where the peer can be told why.
      rejectUnauthorized: false,
      ALPNProtocols: [TUNNEL_ALPN, 'h2', 'http/1.1'],
      handshakeTimeout: options.handshakeTimeoutMs,
      noDelay: true,
    });
    this.#server.on('connection', (socket: Socket) => {
      this.#connections.add(socket);
      options.handshakes?.begin(socket);
      socket.once('close', () => this.#connections.delete(socket));
    });
    this.#server.on('secureConnection', (socket: TLSSocket) => {
      // Asked now: once the connection has closed, Node 20 crashes on the question over TLS 1.2.
      options.onHandshake(socket.isSessionReused());
      this.#admit(socket);
    });
    this.#server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
      const fields = { listener: 'agent', address: peerAddress(socket), reason: error.code };
      // Node leaves a socket open whose handshake took too long.
      socket.destroy();
      if (error.code === 'ECONNRESET') {
        options.logger.debug(fields, 'closed during the TLS handshake');
        return;
      }
      options.onRefused('tls');
      options.logger.warn(
        { ...fields, detail: error.message },
        'TLS handshake with an agent failed',
      );
    });
  }

  /** @throws StartupError that names the flag */
  listen(): Promise<AddressInfo> {
    const { host, port, fd, logger } = this.#options;
    const place = { listener: 'agent', flag: '--agent-port', host, port, fd };
    return listen(this.#server, place, logger);
  }

  /** Takes a TCP connection that somebody else has accepted, as if it had come to this listener. */
  take(socket: Socket): void {
    socket.setNoDelay(true);
    this.#server.emit('connection', socket);
  }

  /** Certificates for handshakes from now on; open tunnels go on. */
  setSecureContext(tls: SecureContextOptions): void {
    this.#server.setSecureContext(tls);
  }

  /** Stops accepting; open tunnels go on. */
  stop(): void {
    this.#server.close();
    this.#webSockets.drain();
    this.#http2.drain();
  }

  destroyAll(): void {
    for (const socket of [...this.#connections]) socket.destroy();
  }

  /** Tokens alone say who agents are where there is no CA for their certificates. */
  get #wantsCertificate(): boolean {
    return this.#options.tls.ca !== undefined || !this.#options.tokens;
  }

  #admit(socket: TLSSocket): void {
    const { logger, whyDenied, onTunnel, onAgentCall, onRefused, handshakes, tokens } =
      this.#options;
    // Only now: a peer that ends its side during the handshake is gone.
    socket.allowHalfOpen = true;
    // 'close' follows every error, and is what the transports listen for.
    socket.on('error', () => {});
    const peer: AgentPeer = {
      address: peerAddress(socket),
      commonName: callerOfTls(socket).commonName,
      certificate: certificateOf(socket),
    };
    const invalid = this.#wantsCertificate ? refusalOfPeer(socket) : undefined;
    const reason = invalid ?? whyDenied?.(peer);
    if (reason !== undefined) {
      onRefused(invalid === undefined ? 'denied' : 'certificate');
      const { address, commonName } = peer;
      logger.warn({ listener: 'agent', address, commonName, reason }, 'agent refused');
      this.#refuse(socket, new TunnelError('unauthenticated', reason));
      return;
    }
    if (!tokens) handshakes?.end(socket);
    const identify = (authorizations: () => readonly string[]) =>
      tokens ? this.#identify(socket, peer, authorizations(), tokens) : peer;
    const silent = () => {
      onRefused('timeout');
      const what = 'no request for a tunnel in time';
      logger.info({ listener: 'agent', address: peer.address, reason: what }, 'connection closed');
    };
    if (socket.alpnProtocol === TUNNEL_ALPN) {
      const byToken: IdentifyByToken = async (token) =>
        identify(() => (token === undefined ? [] : [`Bearer ${token}`]));
      onTunnel(new DuplexTransport(socket, 'tls'), peer, tokens && byToken);
    } else if (socket.alpnProtocol === 'h2') {
      this.#http2.take(socket, {
        identify,
        onTunnel,
        ...(onAgentCall && { onAgentCall }),
        onSilent: silent,
      });
    } else this.#webSockets.take(socket, { identify, onTunnel, onSilent: silent });
  }

  /** Judges the token of a request. @throws TunnelError */
  async #identify(
    socket: TLSSocket,
    peer: AgentPeer,
    authorizations: readonly string[],
    tokens: TokenAuthenticator,
  ): Promise<AgentPeer> {
    const { logger, whyDenied, onRefused, handshakes } = this.#options;
    try {
      const identified = { ...peer, token: await tokens.authenticate(authorizations) };
      const denied = whyDenied?.(identified);
      if (denied !== undefined) throw new TunnelError('unauthenticated', denied);
      handshakes?.end(socket);
      return identified;
    } catch (thrown) {
      const error = toTunnelError(thrown);
      onRefused(error.code === 'unauthenticated' ? 'token' : error.code);
      const { address, commonName } = peer;
      const fields = { listener: 'agent', address, commonName, reason: error.message };
      logger.warn(fields, 'agent refused');
      throw error;
    }
  }

  /** Tells a peer why it gets no tunnel, in the protocol that it chose by ALPN (spec 10.4), and closes. */
  #refuse(socket: TLSSocket, error: TunnelError): void {
    if (socket.alpnProtocol === 'h2') {
      this.#http2.refuse(socket, error);
    } else if (socket.alpnProtocol === TUNNEL_ALPN) {
      endLingering(socket, refusalFrame(error));
    } else {
      endLingering(socket, http1Refusal(refusalOf(error, 0)));
    }
  }
}
