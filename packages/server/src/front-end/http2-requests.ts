import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { GrpcError } from '@fairlead/konnectivity';
import { type Target, TunnelError, toTunnelError } from '@fairlead/protocol';
import { isGrpc, refuseGrpc } from '../http2/grpc-answer.ts';
import { refuseHttp2 } from '../http2/refuse-http2.ts';
import { parseConnectTarget } from './connect-target.ts';
import type { Caller } from './dial.ts';
import type { StreamRequest } from './proxied-stream.ts';

/** Which client protocols a front end serves, as `--mode` says; undefined means both. */
export type FrontEndMode = 'grpc' | 'http-connect' | undefined;

/** Serves one gRPC request: the stream, its headers, and who sent it. */
export type GrpcHandler = (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  caller: Caller,
) => void;

export interface Http2Routes {
  readonly mode: FrontEndMode;
  /** Without it gRPC is answered UNIMPLEMENTED. */
  readonly onGrpc: GrpcHandler | undefined;
  onConnect(request: StreamRequest): void;
  onRefused(error: TunnelError, caller: Caller): void;
}

/** Routes a request by method and content type, and refuses what has no place here. */
export function routeHttp2Request(
  routes: Http2Routes,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  caller: Caller,
): void {
  const method = headers[':method'];
  if (isGrpc(headers)) {
    if (routes.onGrpc && routes.mode !== 'http-connect') routes.onGrpc(stream, headers, caller);
    else refuseGrpc(stream, new GrpcError('UNIMPLEMENTED', 'gRPC is not served here'));
    return;
  }
  const startedAtMs = performance.now();
  const refuse = (error: TunnelError, target?: Target, allow?: string) =>
    refuseHttp2(stream, error, startedAtMs, target, allow);
  if (method !== 'CONNECT' || routes.mode === 'grpc') {
    const served = routes.mode === 'grpc' ? 'gRPC' : 'CONNECT';
    const text = `only ${served} is served here, not ${method}`;
    const error = new TunnelError('method_not_allowed', text);
    routes.onRefused(error, caller);
    refuse(error, undefined, routes.mode === 'grpc' ? 'POST' : 'CONNECT');
    return;
  }
  let target: Target;
  try {
    target = parseConnectTarget(headers[':authority'] ?? '');
  } catch (thrown) {
    const error = toTunnelError(thrown);
    routes.onRefused(error, caller);
    refuse(error);
    return;
  }
  routes.onConnect({
    protocol: 'http2',
    caller,
    target,
    duplex: stream,
    startedAtMs,
    accept: () => {
      if (!stream.destroyed) stream.respond({ ':status': 200 });
    },
    refuse: (error) => refuse(error, target),
  });
}
