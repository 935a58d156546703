import type { Socket } from 'node:net';
import { type Target, TunnelError, toTunnelError } from '@fairlead/protocol';
import { http1Refusal, refusalOf } from '../listeners/refusal.ts';
import { parseConnectTarget } from './connect-target.ts';
import type { Caller } from './dial.ts';
import type { FrontEndMode } from './http2-requests.ts';
import { endLingering } from './lingering-end.ts';
import type { StreamRequest } from './proxied-stream.ts';

export interface Http1Routes {
  readonly mode: FrontEndMode;
  onConnect(request: StreamRequest): void;
  onRefused(error: TunnelError, caller: Caller): void;
}

/**
 * No framing headers (RFC 9110 section 9.3.6), and nothing behind the head: kube-apiserver fails a
 * dial when it sees a byte that the target cannot have sent yet.
 */
const established = Buffer.from('HTTP/1.1 200 Connection established\r\n\r\n');

/** Turns a CONNECT request into a stream, or refuses it. */
export function routeHttp1Connect(
  routes: Http1Routes,
  authority: string,
  socket: Socket,
  caller: Caller,
): void {
  const startedAtMs = performance.now();
  const refuse = (error: TunnelError, target?: Target) => {
    const refusal = refusalOf(error, performance.now() - startedAtMs, target);
    endLingering(socket, http1Refusal(refusal));
  };
  let target: Target;
  try {
    if (routes.mode === 'grpc') {
      throw new TunnelError('method_not_allowed', 'only gRPC is served here, not CONNECT');
    }
    target = parseConnectTarget(authority);
  } catch (thrown) {
    const error = toTunnelError(thrown);
    routes.onRefused(error, caller);
    refuse(error);
    return;
  }
  routes.onConnect({
    protocol: 'http1',
    caller,
    target,
    duplex: socket,
    startedAtMs,
    accept: () => {
      socket.write(established);
    },
    refuse: (error) => refuse(error, target),
  });
}
