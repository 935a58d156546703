import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';
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
import { peerAddress } from '@fairlead/runtime/net';
import type { Logger } from '@fairlead/runtime/process';
import { refusalOfPeer } from '@fairlead/runtime/tls';
import { callerOfTls } from '../front-end/caller.ts';
import { Http2Connections } from '../http2/http2-connections.ts';
import { lingeringClose, refuseHttp1 } from '../listeners/refusal.ts';
import { TlsListener, type TlsListenerOptions } from '../listeners/tls-listener.ts';
import type { AgentPeer } from './agent-peer.ts';
import { certificateOf } from './auth/agent-certificate.ts';
import type { TokenAuthenticator } from './auth/token-authenticator.ts';
import { Http2Tunnels } from './http2-tunnels.ts';
import { WebSocketTunnels } from './websocket-tunnels.ts';

/** An HTTP/2 connection carries one tunnel. One more may follow while it ends; nobody needs thousands. */
const maxTunnelsPerConnection = 16;

/** `tls.ca` is the agents' CA, which may be left out only if there are `tokens`. */
export interface AgentListenerOptions extends TlsListenerOptions {
  /** Judges a token of each agent, beside its certificate if one is asked for. */
  readonly tokens?: TokenAuthenticator | undefined;
  /** From the TLS handshake to a complete request for a tunnel. */
  readonly headTimeoutMs: number;
  readonly maxHeadBytes: number;
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
          // Asked now: once the connection has closed, Node 20 crashes on the question over TLS 1.2.
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
        ...(options.memory && { memory: options.memory }),
      }),
    );
  }

  /** Stops accepting; open tunnels go on. */
  override stop(): void {
    super.stop();
    this.#webSockets.drain();
    this.#http2.drain();
  }

  #admit(socket: TLSSocket): void {
    const { logger, whyDenied, onTunnel, onAgentCall, onRefused, handshakes, tokens } =
      this.#options;
    // 'close' follows every error, and is what the transports listen for.
    socket.on('error', () => {});
    const peer: AgentPeer = {
      address: peerAddress(socket),
      commonName: callerOfTls(socket).commonName,
      certificate: certificateOf(socket),
    };
    const invalid = wantsCertificate(this.#options) ? refusalOfPeer(socket) : undefined;
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
      lingeringClose(socket, refusalFrame(error));
    } else {
      refuseHttp1(socket, error);
    }
  }
}

/** Without a CA for their certificates, agents are identified by tokens alone. */
function wantsCertificate({ tls, tokens }: AgentListenerOptions): boolean {
  return tls.ca !== undefined || !tokens;
}
