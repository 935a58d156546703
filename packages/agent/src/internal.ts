export { Backoff, type BackoffOptions } from './backoff.ts';
export type { ConnectOptions, Connector } from './connect-attempt.ts';
export { ConnectError, type ConnectFailure } from './connect-error.ts';
export { connectGrpc, type GrpcConnection } from './connect-grpc.ts';
export { connectHttp2 } from './connect-http2.ts';
export { connectTls } from './connect-tls.ts';
export { connectWebSocket } from './connect-websocket.ts';
export { type DialOptions, dialTarget, interleaveFamilies, type Lookup } from './dial-target.ts';
export { EgressProxies, type EgressProxy } from './egress-proxy.ts';
export { NoProxyList } from './no-proxy.ts';
export type { TunnelTlsOptions } from './secure-socket.ts';
export {
  type TransportChoice,
  TransportSelector,
  transportChoices,
} from './transport-selection.ts';
