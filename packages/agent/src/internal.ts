export type { ConnectOptions, Connector } from './connect-attempt.ts';
export { ConnectError, type ConnectFailure } from './connect-error.ts';
export { connectGrpc, type GrpcConnection } from './connect-grpc.ts';
export { connectHttp2 } from './connect-http2.ts';
export { connectTls } from './connect-tls.ts';
export { connectWebSocket } from './connect-websocket.ts';
export { DialQueue } from './dial-queue.ts';
export { type DialOptions, dialTarget, interleaveFamilies, type Lookup } from './dial-target.ts';
export { EgressProxies, type EgressProxy } from './egress-proxy.ts';
export { RenewalClock } from './enrolment/renewal-clock.ts';
export { HeldServers } from './held-servers.ts';
export { NameWatch } from './name-watch.ts';
export { NoProxyList } from './no-proxy.ts';
export type { TunnelTlsOptions } from './secure-socket.ts';
export { ServerLink } from './server-link.ts';
export type { TunnelHost } from './server-tunnel.ts';
export { TargetPolicy } from './target-policy.ts';
export { TlsSessionCache } from './tls-session-cache.ts';
export {
  type TransportChoice,
  TransportSelector,
  transportChoices,
} from './transport-selection.ts';
