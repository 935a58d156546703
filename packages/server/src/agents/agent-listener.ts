import type { TLSSocket } from 'node:tls';
import type { Http2Connection, Http2Stream } from '@fairlead/http2';
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
import type { Logger } from '@fairlead/runtime/process';
import { refusalOfPeer } from '@fairlead/runtime/tls';
import { Http2Connections } from '../http2/http2-connections.ts';
import { lingeringClose, refuseHttp1 } from '../listeners/refusal.ts';
import { TlsListener, type TlsListenerOptions } from '../listeners/tls-listener.ts';
import { agentsPort } from '../listeners/wrong-port.ts';
import { type AgentPeer, peerOf } from './agent-peer.ts';
import { authorizationsOf } from './auth/agent-token.ts';
import type { TokenAuthenticator } from './auth/token-authenticator.ts';
import { Http2Tunnels } from './http2-tunnels.ts';
import { WebSocketTunnels } from './websocket-tunnels.ts';

/** An agent needs one tunnel per HTTP/2 connection, and one more while the first ends. */
const maxTunnelsPerConnection = 16;

/** `tls.ca` is the agents' CA, which is optional only with `tokens`. */
export interface AgentListenerOptions extends TlsListenerOptions {
  /** If set, each agent must send a token, also if it must show a certificate. */
  readonly tokens?: TokenAuthenticator | undefined;
  /** Time from the TLS handshake to a complete request for a tunnel. */
  readonly headTimeoutMs: number;
  readonly maxHeadBytes: number;
  /** Counts bytes that connections buffer because their peers do not read. */
  readonly memory?: MemoryBudget;
  readonly logger: Logger;
  /** The reason to refuse a peer whose certificate or token is valid; undefined to accept it. */
  whyDenied?(peer: AgentPeer): string | undefined;
  /** A peer that was admitted has opened a tunnel. */
  onTunnel(transport: Transport, peer: AgentPeer, identify?: IdentifyByToken): void;
  /** A Konnectivity agent that was admitted calls; no response is sent yet. Without it: UNIMPLEMENTED. */
  onAgentCall?(stream: Http2Stream, connection: Http2Connection, peer: AgentPeer): void;
  onRefused(reason: string): void;
  /** A peer is refused, for a reason that its operator can read. */
  onPeerRefused?(peer: AgentPeer, reason: string): void;
  /** A TLS handshake succeeded; the peer can still be refused. */
  onHandshake(isResumed: boolean): void;
}

/**
 * Verifies a peer's token; given if the token is expected in HELLO (spec 2.12). Counts and logs a refusal.
 * @throws TunnelError with which the caller refuses the peer
 */
export type IdentifyByToken = (token: string | undefined) => Promise<AgentPeer>;

/** Serves the requests of an HTTP connection on the agent port. */
export interface AgentRequestHandler {
  /**
   * Verifies the token of a request, if agents need one.
   * @param rawHeaders alternating names and values
   * @throws TunnelError with which the caller refuses the request
   */
  identify(rawHeaders: readonly string[]): AgentPeer | Promise<AgentPeer>;
  onTunnel(transport: Transport, peer: AgentPeer): void;
  /** A Konnectivity agent calls `AgentService/Connect`; no response is sent yet. HTTP/2 only. */
  readonly onAgentCall?: AgentListenerOptions['onAgentCall'] | undefined;
  /** No complete request arrived before the deadline; the connection is closed. */
  onSilent(): void;
}

/**
 * The port for agents: TLS, mutual unless tokens alone identify agents, and behind it every transport of
 * docs/spec.md section 10, selected by ALPN. A peer is admitted or refused before a transport gets the socket.
 */
export class AgentListener extends TlsListener {
  readonly #options: AgentListenerOptions;
  readonly #webSockets: WebSocketTunnels;
  readonly #http2: Http2Tunnels;

  constructor(options: AgentListenerOptions) {
    super(
      options,
      {
        name: 'agent',
        flag: '--agent-port',
        alpn: [TUNNEL_ALPN, 'h2', 'http/1.1'],
        requestCert: wantsCertificate(options),
        failure: 'TLS handshake with an agent failed',
        onConnection: (socket) => {
          // Not later: Node 20 crashes on this call after a TLS 1.2 connection has closed.
          options.onHandshake(socket.isSessionReused());
          this.#admit(socket);
        },
        onHandshakeFailed: () => options.onRefused('tls'),
      },
      options.logger,
    );
    this.#options = options;
    this.#webSockets = new WebSocketTunnels(options.headTimeoutMs);
    this.#http2 = new Http2Tunnels(
      new Http2Connections({
        headTimeoutMs: options.headTimeoutMs,
        maxHeadBytes: options.maxHeadBytes,
        idleTimeoutMs: options.headTimeoutMs,
        streamWindowBytes: HTTP2_WINDOW_BYTES,
        maxConcurrentStreams: maxTunnelsPerConnection,
        memory: options.memory,
      }),
    );
  }

  override stop(): void {
    super.stop();
    this.#webSockets.drain();
    this.#http2.drain();
  }

  #admit(socket: TLSSocket): void {
    const { logger, whyDenied, onTunnel, onAgentCall, onRefused, handshakes, tokens } =
      this.#options;
    // The transports wait for 'close', which follows every error.
    socket.on('error', () => {});
    const peer = peerOf(socket);
    const invalid = wantsCertificate(this.#options) ? refusalOfPeer(socket) : undefined;
    const reason = invalid ?? whyDenied?.(peer);
    if (reason !== undefined) {
      onRefused(invalid === undefined ? 'denied' : 'certificate');
      const { address, commonName } = peer;
      logger.warn({ listener: 'agent', address, commonName, reason }, 'agent refused');
      this.#options.onPeerRefused?.(peer, reason);
      const text = invalid === undefined ? reason : `${reason}; ${agentsPort}`;
      this.#refuse(socket, new TunnelError('unauthenticated', text));
      return;
    }
    if (!tokens) handshakes?.end(socket);
    const identify = (rawHeaders: readonly string[]) =>
      tokens ? this.#identify(socket, peer, authorizationsOf(rawHeaders), tokens) : peer;
    const onSilent = () => {
      onRefused('timeout');
      const what = 'no request for a tunnel in time';
      logger.info({ listener: 'agent', address: peer.address, reason: what }, 'connection closed');
    };
    if (socket.alpnProtocol === TUNNEL_ALPN) {
      const byToken: IdentifyByToken = async (token) =>
        identify(token === undefined ? [] : ['authorization', `Bearer ${token}`]);
      onTunnel(new DuplexTransport(socket, 'tls'), peer, tokens && byToken);
    } else if (socket.alpnProtocol === 'h2') {
      this.#http2.take(socket, { identify, onTunnel, onAgentCall, onSilent });
    } else this.#webSockets.take(socket, { identify, onTunnel, onSilent });
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
      this.#options.onPeerRefused?.(peer, error.message);
      throw error;
    }
  }

  /** Sends the peer the reason in the protocol that it chose by ALPN (spec 10.4), and closes. */
  #refuse(socket: TLSSocket, error: TunnelError): void {
    if (socket.alpnProtocol === 'h2') this.#http2.refuse(socket, error);
    else if (socket.alpnProtocol === TUNNEL_ALPN) lingeringClose(socket, refusalFrame(error));
    else refuseHttp1(socket, error);
  }
}

/** Without a CA for agents' certificates, tokens alone identify agents. */
function wantsCertificate({ tls, tokens }: AgentListenerOptions): boolean {
  return tls.ca !== undefined || !tokens;
}
