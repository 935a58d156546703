// For tests of this package; no promise of stability.
export { type AgentIdentifiers, parseAgentIdentifiers } from './agent-identifiers.ts';
export { AgentListener } from './agent-port/agent-listener.ts';
export {
  claimTexts,
  constraintsOf,
  splitClaims,
} from './agent-port/claim-constraints.ts';
export { TokenAuthenticator } from './agent-port/token-authenticator.ts';
export type { Backend } from './backend.ts';
export { BackendLimits } from './backend-limits.ts';
export { Backends } from './backends.ts';
export { createDial } from './dialer.ts';
export { AbandonLimit } from './frontend/abandon-limit.ts';
export { callerName } from './frontend/caller.ts';
export { parseConnectTarget } from './frontend/connect-target.ts';
export type { Caller, Dial, DialedStream } from './frontend/dial.ts';
export { protocolOf } from './frontend/first-bytes.ts';
export { FrontEnd, type FrontEndOptions } from './frontend/front-end.ts';
export type { FrontEndObserver, StreamSummary } from './frontend/observer.ts';
export { refusalOf } from './frontend/refusal.ts';
export { StreamLimits } from './frontend/stream-limits.ts';
export type { TlsListener, TlsListenerOptions } from './frontend/tls-listener.ts';
export { UdsListener } from './frontend/uds-listener.ts';
export { FrontEndPolicy } from './frontend-policy.ts';
export { Http2Connections } from './http2/http2-connections.ts';
export { Pace } from './pace.ts';
export { PeerList } from './peer-list.ts';
export { Readiness } from './readiness.ts';
export { Router, type StrategyName } from './router.ts';
export { parseCidr } from './routing/cidr.ts';
export { PrefixTable } from './routing/prefix-table.ts';
