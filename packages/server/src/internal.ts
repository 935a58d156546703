// For tests of this package; no promise of stability.

export { AgentListener } from './agent-port/agent-listener.ts';
export { AbandonLimit } from './frontend/abandon-limit.ts';
export { callerName } from './frontend/caller.ts';
export { parseConnectTarget } from './frontend/connect-target.ts';
export type { Caller, Dial, DialedStream } from './frontend/dial.ts';
export { protocolOf } from './frontend/first-bytes.ts';
export { FrontEnd, type FrontEndOptions } from './frontend/front-end.ts';
export type { FrontEndObserver, StreamSummary } from './frontend/observer.ts';
export { refusalOf } from './frontend/refusal.ts';
export type { TlsListener, TlsListenerOptions } from './frontend/tls-listener.ts';
export { UdsListener } from './frontend/uds-listener.ts';
export { Http2Connections } from './http2/http2-connections.ts';
