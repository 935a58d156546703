// For tests of this package and for benches; not stable.

export { Readiness } from './admin/readiness.ts';
export {
  type AgentIdentifiers,
  claimTexts,
  parseAgentIdentifiers,
} from './agents/agent-identifiers.ts';
export { AgentListener } from './agents/agent-listener.ts';
export { type AgentPeer, identityOf, nameOf, peerOf } from './agents/agent-peer.ts';
export { createAuthorizer } from './agents/auth/agent-authorization.ts';
export { authorizationsOf } from './agents/auth/agent-token.ts';
export { constraintsOf, splitClaims } from './agents/auth/claim-constraints.ts';
export { createTokenAuthenticator, TokenAuthenticator } from './agents/auth/token-authenticator.ts';
export type { Backend, BackendDialHandler } from './agents/backend.ts';
export { Backends } from './agents/backends.ts';
export { claimConflicts, conflictsOf } from './agents/exclusive-claims.ts';
export { Pace } from './agents/paced-stream.ts';
export { PeerList } from './cluster/peer-list.ts';
export type { Caller } from './front-end/caller.ts';
export { protocolOf } from './front-end/client-connections.ts';
export { parseConnectTarget } from './front-end/connect-target.ts';
export { FrontEnd } from './front-end/front-end.ts';
export type {
  Dial,
  DialHandler,
  FrontEndOptions,
  GrpcObserver,
  StreamSummary,
} from './front-end/front-end-options.ts';
export { FrontEndPolicy } from './front-end/front-end-policy.ts';
export { Http1HeadReader } from './front-end/http1-head.ts';
export { StreamLimits } from './front-end/stream-limits.ts';
export { UdsListener, type UdsListenerOptions } from './listeners/uds-listener.ts';
export { DialFailures } from './routing/dial-failures.ts';
export { DialHistory } from './routing/dial-history.ts';
export { Dialer } from './routing/dialer.ts';
export { PrefixTable } from './routing/prefix-table.ts';
export { Router, type StrategyName } from './routing/router.ts';
