import type { ClientHandler, ClientStream } from './client-stream.ts';
import { GrpcStream } from './grpc-stream.ts';
import { Http2ConnectStream } from './http2-connect-stream.ts';
import type { Route } from './route.ts';
import { SocketStream } from './socket-stream.ts';

/** Opens a stream to the route's target. A failure is passed to `onClose`. */
export function openClientStream(route: Route, handler: ClientHandler): ClientStream {
  switch (route.by) {
    case 'forward':
    case 'connect':
      return new SocketStream(route, handler);
    case 'http2-connect':
      return new Http2ConnectStream(route, handler);
    case 'grpc':
      return new GrpcStream(route, handler);
  }
}
