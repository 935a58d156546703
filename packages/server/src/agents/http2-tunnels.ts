import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { CONNECT_METHOD, GrpcError, toGrpcError } from '@fairlead/konnectivity';
import {
  DuplexTransport,
  TUNNEL_CONTENT_TYPE,
  TUNNEL_PATH,
  TunnelError,
  toTunnelError,
} from '@fairlead/protocol';
import { isGrpc, refuseGrpc } from '../http2/grpc-answer.ts';
import type { Http2Connections, Http2Handler } from '../http2/http2-connections.ts';
import { refuseHttp2 } from '../listeners/refusal.ts';
import type { AgentRequestHandler } from './agent-listener.ts';

/**
 * Tunnels in HTTP/2 streams (spec 10.3): the bodies of a POST and of its response carry the frames. The calls
 * of Konnectivity's agents also arrive here.
 */
export class Http2Tunnels {
  readonly #http2: Http2Connections;
  /** Sessions with calls of Konnectivity's agents. */
  readonly #grpcSessions = new WeakSet<ServerHttp2Session>();

  constructor(http2: Http2Connections) {
    this.#http2 = http2;
  }

  /** Serves a connection that was admitted. */
  take(socket: TLSSocket, handler: AgentRequestHandler): void {
    const { identify, onTunnel, onAgentCall, onSilent } = handler;
    const onRequest: Http2Handler['onRequest'] = async (stream, headers, rawHeaders) => {
      if (isGrpc(headers)) {
        if (onAgentCall && headers[':path'] === CONNECT_METHOD) {
          if (stream.session) this.#grpcSessions.add(stream.session as ServerHttp2Session);
          try {
            const peer = await identify(rawHeaders);
            if (isOpen(stream)) onAgentCall(stream, headers, peer);
          } catch (thrown) {
            refuseGrpc(stream, toGrpcError(toTunnelError(thrown)));
          }
        } else {
          const served = onAgentCall ? `only ${CONNECT_METHOD}` : 'no gRPC';
          refuseGrpc(stream, new GrpcError('UNIMPLEMENTED', `${served} is served here`));
        }
        return;
      }
      const startedAtMs = performance.now();
      try {
        const error = refusalOfRequest(headers);
        if (error) throw error;
        const peer = await identify(rawHeaders);
        if (!isOpen(stream)) return;
        stream.respond({ ':status': 200, 'content-type': TUNNEL_CONTENT_TYPE });
        onTunnel(new DuplexTransport(stream, 'http2'), peer);
      } catch (thrown) {
        refuseHttp2(stream, toTunnelError(thrown), startedAtMs);
      }
    };
    this.#http2.take(socket, { onRequest, onSilent });
  }

  /** Answers a request of a refused peer with the reason, and closes the connection. */
  refuse(socket: TLSSocket, error: TunnelError): void {
    const onRequest: Http2Handler['onRequest'] = (stream, headers) => {
      if (isGrpc(headers)) refuseGrpc(stream, toGrpcError(error));
      else refuseHttp2(stream, error, performance.now());
      if (stream.session) this.#http2.closeSoon(stream.session as ServerHttp2Session);
    };
    this.#http2.take(socket, { onRequest, onSilent() {}, refusesAll: true });
  }

  /**
   * Closes connections without a tunnel; those with one get GOAWAY and stay open. Konnectivity's agents get
   * no GOAWAY: they would close their connection with all streams on it.
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
  if (path !== TUNNEL_PATH) return wrongPath(path);
  if (method !== 'POST') {
    return new TunnelError('method_not_allowed', `a tunnel is a POST, not ${method}`);
  }
  if (type === TUNNEL_CONTENT_TYPE) return undefined;
  const text = `a tunnel has content type ${TUNNEL_CONTENT_TYPE}, not ${type}`;
  return new TunnelError('bad_request', text);
}

/** The refusal of a request for another path than that of tunnels. */
export function wrongPath(path: string | undefined): TunnelError {
  const text = `there is nothing at ${path}; tunnels are at ${TUNNEL_PATH}`;
  return new TunnelError('bad_request', text);
}
