// For tests of this package; no promise of stability.

export { Readiness } from './admin/readiness.ts';
export { type AgentIdentifiers, parseAgentIdentifiers } from './agents/agent-identifiers.ts';
export { AgentListener } from './agents/agent-listener.ts';
export {
  claimTexts,
  constraintsOf,
  splitClaims,
} from './agents/auth/claim-constraints.ts';
export { TokenAuthenticator } from './agents/auth/token-authenticator.ts';
export type { Backend } from './agents/backend.ts';
export { BackendLimits } from './agents/backend-limits.ts';
export { Backends } from './agents/backends.ts';
export { Pace } from './agents/pace.ts';
export { PeerList } from './cluster/peer-list.ts';
export { AbandonLimit } from './front-end/abandon-limit.ts';
export { callerName } from './front-end/caller.ts';
export { parseConnectTarget } from './front-end/connect-target.ts';
export type { Caller, Dial, DialedStream } from './front-end/dial.ts';
export { protocolOf } from './front-end/first-bytes.ts';
export { FrontEnd, type FrontEndOptions } from './front-end/front-end.ts';
export type { FrontEndObserver, StreamSummary } from './front-end/front-end-options.ts';
export { FrontEndPolicy } from './front-end/front-end-policy.ts';
export { StreamLimits } from './front-end/stream-limits.ts';
export { Http2Connections } from './http2/http2-connections.ts';
export { refusalOf } from './listeners/refusal.ts';
export type { TlsListener, TlsListenerOptions } from './listeners/tls-listener.ts';
export { UdsListener } from './listeners/uds-listener.ts';
export { parseCidr } from './routing/cidr.ts';
export { createDial } from './routing/dialer.ts';
export { PrefixTable } from './routing/prefix-table.ts';
export { Router, type StrategyName } from './routing/router.ts';
