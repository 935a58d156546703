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
import { endLingering } from '../front-end/lingering-end.ts';
import { http1Refusal, refusalOf } from '../front-end/refusal.ts';
import { Http2Connections } from '../http2/http2-connections.ts';
import { type AgentPeer, peerOf } from './agent-peer.ts';
import type { TokenAuthenticator } from './auth/token-authenticator.ts';
import { Http2Tunnels } from './http2-tunnels.ts';
import { WebSocketTunnels } from './websocket-tunnels.ts';

/** An agent needs one tunnel per HTTP/2 connection, and one more while the first ends. */
const maxTunnelsPerConnection = 16;

export interface AgentListenerOptions {
  readonly host: string | undefined;
  /** 0 for an ephemeral port. */
  readonly port: number;
  /** A socket that another process has already bound there. */
  readonly fd?: number | undefined;
  /** Certificate, key and the agents' CA, which is optional only with `tokens`. */
  readonly tls: SecureContextOptions;
  /** If set, each agent must send a token, also if it must show a certificate. */
  readonly tokens?: TokenAuthenticator | undefined;
  readonly handshakeTimeoutMs: number;
  /** Time from the TLS handshake to a complete request for a tunnel. */
  readonly headTimeoutMs: number;
  readonly maxHeadBytes: number;
  /** Shared by all listeners; no limit without it. */
  readonly handshakes?: HandshakeLimit;
  /** Counts bytes that connections buffer because their peers do not read. */
  readonly memory?: MemoryBudget;
  readonly logger: Logger;
  /** The reason to refuse a peer whose certificate or token is valid; undefined to accept it. */
  whyDenied?(peer: AgentPeer): string | undefined;
  /**
   * A peer that was admitted has opened a tunnel.
   * @param identify given if the agent's token is expected in HELLO (spec 2.12)
   */
  onTunnel(transport: Transport, peer: AgentPeer, identify?: IdentifyByToken): void;
  /** A Konnectivity agent that was admitted calls; no response is sent yet. Without it: UNIMPLEMENTED. */
  onAgentCall?(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, peer: AgentPeer): void;
  onRefused(reason: string): void;
  /** A TLS handshake succeeded; the peer can still be refused. */
  onHandshake(isResumed: boolean): void;
}

/**
 * Verifies a peer's token. Counts and logs a refusal.
 * @throws TunnelError with which the caller refuses the peer
 */
export type IdentifyByToken = (token: string | undefined) => Promise<AgentPeer>;

/** Serves the requests of an HTTP connection on the agent port. */
export interface AgentRequestHandler {
  /**
   * Verifies the token of a request, if agents need one.
   * @throws TunnelError with which the caller refuses the request
   */
  identify(authorizations: () => readonly string[]): AgentPeer | Promise<AgentPeer>;
  onTunnel(transport: Transport, peer: AgentPeer): void;
  /** A Konnectivity agent calls `AgentService/Connect`; no response is sent yet. HTTP/2 only. */
  onAgentCall?(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, peer: AgentPeer): void;
  /** No complete request arrived before the deadline; the connection is closed. */
  onSilent(): void;
}

/**
 * The port for agents: TLS, mutual unless tokens alone identify agents, and behind it every transport of
 * docs/spec.md section 10, selected by ALPN. A peer is admitted or refused before a transport gets the socket.
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
      // `#admit` refuses instead, with a reason that the peer can read.
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
      // Not later: Node 20 crashes on this call after a TLS 1.2 connection has closed.
      options.onHandshake(socket.isSessionReused());
      this.#admit(socket);
    });
    this.#server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
      const fields = { listener: 'agent', address: peerAddress(socket), reason: error.code };
      // Node leaves the socket open after a handshake timeout.
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
    return listen(
      this.#server,
      { listener: 'agent', flag: '--agent-port', host, port, fd },
      logger,
    );
  }

  /** Serves a TCP connection that another process has accepted. */
  take(socket: Socket): void {
    socket.setNoDelay(true);
    this.#server.emit('connection', socket);
  }

  /** Replaces the certificates for new handshakes; open tunnels go on. */
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

  /** Without a CA for agents' certificates, tokens alone identify agents. */
  get #wantsCertificate(): boolean {
    return this.#options.tls.ca !== undefined || !this.#options.tokens;
  }

  #admit(socket: TLSSocket): void {
    const { logger, whyDenied, onTunnel, onAgentCall, onRefused, handshakes, tokens } =
      this.#options;
    // Not before: a peer that ends its side during the handshake is gone.
    socket.allowHalfOpen = true;
    // The transports wait for 'close', which follows every error.
    socket.on('error', () => {});
    const peer = peerOf(socket);
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

  /** Verifies the token of a request. @throws TunnelError */
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

  /** Sends the peer the reason in the protocol that it chose by ALPN (spec 10.4), and closes. */
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
