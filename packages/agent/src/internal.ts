export type { Connect, ConnectOptions } from './connect/connect-attempt.ts';
export { ConnectError, type ConnectFailure } from './connect/connect-error.ts';
export { connectGrpc, type GrpcConnection } from './connect/connect-grpc.ts';
export { connectHttp2 } from './connect/connect-http2.ts';
export { connectTls } from './connect/connect-tls.ts';
export { connectWebSocket } from './connect/connect-websocket.ts';
export { EgressProxies, type EgressProxy } from './connect/proxy/egress-proxy.ts';
export { NoProxyList } from './connect/proxy/no-proxy.ts';
export type { TunnelTlsOptions } from './connect/server-connection.ts';
export { TlsSessionCache } from './connect/tls-session-cache.ts';
export {
  type TransportChoice,
  TransportSelector,
  transportChoices,
} from './connect/transport-selection.ts';
export { RenewalClock } from './identity/renewal-clock.ts';
export { NameWatch } from './servers/name-watch.ts';
export { ServerConnector } from './servers/server-connector.ts';
export type { TunnelContext } from './servers/server-tunnel.ts';
export { TunnelRegistry } from './servers/tunnel-registry.ts';
export { connectError, lookupError } from './streams/dial-errors.ts';
export { DialQueue } from './streams/dial-queue.ts';
export {
  type DialOptions,
  dialTarget,
  interleaveFamilies,
  type Lookup,
} from './streams/dial-target.ts';
export { LookupQueue, targetLookups } from './streams/lookup-queue.ts';
export { readPolicy } from './streams/read-policy.ts';
export { TargetPolicy } from './streams/target-policy.ts';
