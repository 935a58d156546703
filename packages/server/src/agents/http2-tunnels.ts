import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { CONNECT_METHOD, GrpcError, toGrpcError } from '@fairlead/konnectivity';
import {
  DuplexTransport,
  type Transport,
  TUNNEL_CONTENT_TYPE,
  TUNNEL_PATH,
  TunnelError,
  toTunnelError,
} from '@fairlead/protocol';
import { isGrpc, refuseGrpc } from '../http2/grpc-answer.ts';
import type { Http2Connections, Http2Handler } from '../http2/http2-connections.ts';
import { refuseHttp2 } from '../listeners/refusal.ts';
import type { AgentPeer } from './agent-peer.ts';
import { authorizationsOf } from './auth/authorizations.ts';

/** What a peer on an HTTP/2 connection may open. */
export interface Http2TunnelHandler {
  /** Says who makes a request. Rejects with a TunnelError whom to refuse. */
  identify(authorizations: () => readonly string[]): AgentPeer | Promise<AgentPeer>;
  onTunnel(transport: Transport, peer: AgentPeer): void;
  /** A Konnectivity agent calls `AgentService/Connect`; nothing is answered yet. */
  onAgentCall?(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, peer: AgentPeer): void;
  /** The peer asked for nothing within the deadline and was cut off. */
  onSilent(): void;
}

/**
 * Tunnels in HTTP/2 streams (spec 10.3): a POST whose body and whose answer's body carry the frames. The
 * calls of Konnectivity's agents come the same way.
 */
export class Http2Tunnels {
  readonly #http2: Http2Connections;
  /** Those that carry calls of Konnectivity's agents. */
  readonly #grpcSessions = new WeakSet<ServerHttp2Session>();

  constructor(http2: Http2Connections) {
    this.#http2 = http2;
  }

  /** Takes an admitted connection. */
  take(socket: TLSSocket, handler: Http2TunnelHandler): void {
    const { identify, onTunnel, onAgentCall, onSilent } = handler;
    const onRequest: Http2Handler['onRequest'] = async (stream, headers, rawHeaders) => {
      const authorizations = () => authorizationsOf(rawHeaders);
      if (isGrpc(headers)) {
        if (onAgentCall && headers[':path'] === CONNECT_METHOD) {
          if (stream.session) this.#grpcSessions.add(stream.session as ServerHttp2Session);
          try {
            const peer = await identify(authorizations);
            if (isOpen(stream)) onAgentCall(stream, headers, peer);
          } catch (thrown) {
            refuseGrpc(stream, toGrpcError(toTunnelError(thrown)));
          }
        } else {
          const served = onAgentCall ? `only ${CONNECT_METHOD}` : 'no gRPC';
          const text = `${served} is served here`;
          refuseGrpc(stream, new GrpcError('UNIMPLEMENTED', text));
        }
        return;
      }
      const startedAtMs = performance.now();
      try {
        const error = refusalOfRequest(headers);
        if (error) throw error;
        const peer = await identify(authorizations);
        if (!isOpen(stream)) return;
        stream.respond({ ':status': 200, 'content-type': TUNNEL_CONTENT_TYPE });
        onTunnel(new DuplexTransport(stream, 'http2'), peer);
      } catch (thrown) {
        refuseHttp2(stream, toTunnelError(thrown), startedAtMs);
      }
    };
    this.#http2.take(socket, { onRequest, onSilent });
  }

  /** Answers a request of a peer that was not admitted with the reason, and closes. */
  refuse(socket: TLSSocket, error: TunnelError): void {
    const onRequest: Http2Handler['onRequest'] = (stream, headers) => {
      if (isGrpc(headers)) refuseGrpc(stream, toGrpcError(error));
      else refuseHttp2(stream, error, performance.now());
      if (stream.session) this.#http2.closeSoon(stream.session as ServerHttp2Session);
    };
    this.#http2.take(socket, { onRequest, onSilent() {}, refusesAll: true });
  }

  /**
   * Connections without a tunnel are closed; those with one get GOAWAY and go on. Not so Konnectivity's
   * agents: at a GOAWAY they drop their connection with all that is open on it.
   */
  drain(): void {
    for (const session of this.#http2.sessions) {
      if (!this.#grpcSessions.has(session)) session.close();
    }
  }
}

const isOpen = (stream: ServerHttp2Stream): boolean => !stream.destroyed && !stream.closed;

function refusalOfRequest(headers: IncomingHttpHeaders): TunnelError | undefined {
  const { ':method': method, ':path': path, 'content-type': type } = headers;
  if (path !== TUNNEL_PATH) {
    return new TunnelError(
      'bad_request',
      `there is nothing at ${path}; tunnels are at ${TUNNEL_PATH}`,
    );
  }
  if (method !== 'POST')
    return new TunnelError('method_not_allowed', `a tunnel is a POST, not ${method}`);
  if (type !== TUNNEL_CONTENT_TYPE) {
    return new TunnelError(
      'bad_request',
      `a tunnel has content type ${TUNNEL_CONTENT_TYPE}, not ${type}`,
    );
  }
  return undefined;
}
