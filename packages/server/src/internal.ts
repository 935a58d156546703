// For tests of this package and for benches; not stable.

export { Readiness } from './admin/readiness.ts';
export {
  type AgentIdentifiers,
  claimTexts,
  parseAgentIdentifiers,
} from './agents/agent-identifiers.ts';
export { AgentListener } from './agents/agent-listener.ts';
export { constraintsOf, splitClaims } from './agents/auth/claim-constraints.ts';
export { TokenAuthenticator } from './agents/auth/token-authenticator.ts';
export type { Backend } from './agents/backend.ts';
export { Backends } from './agents/backends.ts';
export { Pace } from './agents/paced-stream.ts';
export { PeerList } from './cluster/peer-list.ts';
export { AbandonLimit } from './front-end/abandon-limit.ts';
export { callerName } from './front-end/caller.ts';
export { parseConnectTarget } from './front-end/connect-target.ts';
export type { Caller, Dial, DialedStream } from './front-end/dial.ts';
export { FrontEnd, type FrontEndOptions } from './front-end/front-end.ts';
export { FrontEndPolicy } from './front-end/frontend-policy.ts';
export type { FrontEndObserver, StreamSummary } from './front-end/observer.ts';
export { refusalOf } from './front-end/refusal.ts';
export { StreamLimits } from './front-end/stream-limits.ts';
export { Http2Connections } from './http2/http2-connections.ts';
export { protocolOf } from './listeners/first-bytes.ts';
export type { TlsListener, TlsListenerOptions } from './listeners/tls-listener.ts';
export { UdsListener } from './listeners/uds-listener.ts';
export { DialHistory } from './routing/dial-history.ts';
export { Dialer } from './routing/dialer.ts';
export { PrefixTable } from './routing/prefix-table.ts';
export { Router, type StrategyName } from './routing/router.ts';
