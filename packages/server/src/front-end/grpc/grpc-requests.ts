import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { GrpcError, type PacketObserver, PacketStream, PROXY_METHOD } from '@fairlead/konnectivity';
import { acceptGrpc, refuseGrpc } from '../../http2/grpc-answer.ts';
import type { Caller } from '../dial.ts';
import { ProxyCall, type ProxyCallHost } from '../proxy-call.ts';

/** What is told of gRPC calls, for metrics. */
export interface GrpcObserver extends PacketObserver {
  onCallStart(): void;
  onCallEnd(): void;
  onHeldUp(isHeldUp: boolean): void;
  onWritten(durationMs: number): void;
}

export interface GrpcRoutes extends ProxyCallHost {
  readonly observer: GrpcObserver;
}

/** Serves a gRPC request of a client: a call of Konnectivity's `ProxyService/Proxy`. */
export function serveGrpcRequest(
  routes: GrpcRoutes,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  caller: Caller,
): void {
  if (headers[':path'] !== PROXY_METHOD) {
    refuseGrpc(stream, new GrpcError('UNIMPLEMENTED', `only ${PROXY_METHOD} is served here`));
    return;
  }
  const { observer } = routes;
  acceptGrpc(stream);
  observer.onCallStart();
  stream.once('close', () => observer.onCallEnd());
  new ProxyCall(new PacketStream(stream, 'server', observer), caller, routes);
}
