import type { TLSSocket } from 'node:tls';
import {
  encodeFields,
  type Http2Connection,
  type Http2Stream,
  type RequestHead,
} from '@fairlead/http2';
import { CONNECT_METHOD, GrpcError, toGrpcError } from '@fairlead/konnectivity';
import { TUNNEL_CONTENT_TYPE, TUNNEL_PATH, TunnelError, toTunnelError } from '@fairlead/protocol';
import { isGrpc, refuseGrpc } from '../http2/grpc-answer.ts';
import type { Http2Connections } from '../http2/http2-connections.ts';
import { refuseHttp2 } from '../listeners/refusal.ts';
import { agentsPort } from '../listeners/wrong-port.ts';
import type { AgentRequestHandler } from './agent-listener.ts';
import { Http2Transport } from './http2-transport.ts';

const accepted = encodeFields({ ':status': '200', 'content-type': TUNNEL_CONTENT_TYPE });

/**
 * Tunnels in HTTP/2 streams (spec 10.3): the bodies of a POST and of its response carry the frames. The calls
 * of Konnectivity's agents also arrive here.
 */
export class Http2Tunnels {
  readonly #http2: Http2Connections;
  /** Connections with calls of Konnectivity's agents. */
  readonly #withCalls = new WeakSet<Http2Connection>();

  constructor(http2: Http2Connections) {
    this.#http2 = http2;
  }

  /** Serves a connection that was admitted. */
  take(socket: TLSSocket, handler: AgentRequestHandler): void {
    const { identify, onTunnel, onAgentCall, onSilent } = handler;
    const onRequest = async (stream: Http2Stream, connection: Http2Connection) => {
      const { request } = stream;
      const rawHeaders = request.fields.flat();
      if (isGrpc(request)) {
        if (onAgentCall && request.path === CONNECT_METHOD) {
          this.#withCalls.add(connection);
          try {
            const peer = await identify(rawHeaders);
            if (!stream.isClosed) onAgentCall(stream, connection, peer);
          } catch (thrown) {
            refuseGrpc(stream, toGrpcError(toTunnelError(thrown)));
          }
        } else {
          const served = onAgentCall ? `only ${CONNECT_METHOD}` : 'no gRPC';
          const text = `${served} is served here: ${agentsPort}`;
          refuseGrpc(stream, new GrpcError('UNIMPLEMENTED', text));
        }
        return;
      }
      const startedAtMs = performance.now();
      try {
        const error = refusalOfRequest(request);
        if (error) throw error;
        const peer = await identify(rawHeaders);
        if (stream.isClosed) return;
        stream.respond(accepted);
        onTunnel(new Http2Transport(stream), peer);
      } catch (thrown) {
        refuseHttp2(stream, toTunnelError(thrown), startedAtMs);
      }
    };
    this.#http2.take(socket, { onRequest, onSilent });
  }

  /** Refuses a peer that was not admitted. */
  refuse(socket: TLSSocket, error: TunnelError): void {
    this.#http2.refuse(socket, error);
  }

  /**
   * Closes connections without a tunnel; those with one get GOAWAY and stay open. Konnectivity's agents get
   * no GOAWAY: they would close their connection with all streams on it.
   */
  drain(): void {
    for (const connection of this.#http2.open) {
      if (!this.#withCalls.has(connection)) connection.drain();
    }
  }
}

function refusalOfRequest(request: RequestHead): TunnelError | undefined {
  const { method, path } = request;
  const type = request.get('content-type');
  if (method === 'CONNECT') {
    return new TunnelError('method_not_allowed', `CONNECT is not served here: ${agentsPort}`);
  }
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
  const text = `there is nothing at ${path}; tunnels are at ${TUNNEL_PATH}: ${agentsPort}`;
  return new TunnelError('bad_request', text);
}
