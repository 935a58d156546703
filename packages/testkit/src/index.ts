export { ApiStatus } from './api-status.ts';
export {
  type ByteReport,
  type CountOptions,
  countBytes,
  readText,
} from './byte-report.ts';
export { sharedTestPki, testPkiVariable } from './certificates.ts';
export {
  type ConnectReply,
  type ConnectRequest,
  connectHead,
  connectThrough,
  exchangeRaw,
  type RawExchange,
} from './connect-client.ts';
export { type EventuallyOptions, eventually } from './eventually.ts';
export { makeFairleadPki } from './fairlead-pki.ts';
export { type ClientTls, type FrontEndAddress, openFrontEnd } from './front-end-address.ts';
export { Http2ConnectClient, type Http2ConnectReply } from './http2-connect-client.ts';
export type { KubeletStats } from './kubelet-routes.ts';
export { KubernetesApi, type TokenOwner } from './kubernetes-api.ts';
export type { StoredLease } from './lease-store.ts';
export type { Endpoint, EndpointOptions, Started } from './listener.ts';
export { LogWatch } from './log-watch.ts';
export { makeOpensslPki } from './openssl-pki.ts';
export { pickPort } from './pick-port.ts';
export {
  countOpenFiles,
  type ProcessStats,
  type ProcessUsage,
  readProcessStats,
  watchProcess,
} from './proc-stats.ts';
export type { LogLine } from './process-log.ts';
export {
  closeAfter,
  commandOf,
  type ListenerAddress,
  type ProcessExit,
  type ProcessOptions,
  programs,
  RunningProcess,
  type TestLike,
  workspaceRoot,
} from './process-runner.ts';
export { seededBuffer, seededChunks, seededReadable, seededSha256 } from './seeded-bytes.ts';
export { type SlowLink, type SlowLinkOptions, startSlowLink } from './slow-link.ts';
export { startBlackholeTarget } from './target-blackhole.ts';
export { type EchoTarget, startEchoTarget } from './target-echo.ts';
export {
  type EarlyEndTargetOptions,
  type LateAnswerTarget,
  type LateAnswerTargetOptions,
  startEarlyEndTarget,
  startLateAnswerTarget,
} from './target-half-close.ts';
export {
  type HttpTarget,
  type KubeletTargetOptions,
  startKubeletTarget,
  startPodTarget,
} from './target-kubelet.ts';
export { reserveRefusedPort } from './target-refused.ts';
export { type ResetTargetOptions, startResetTarget } from './target-reset.ts';
export {
  readSinkReport,
  type SinkTarget,
  type SinkTargetOptions,
  startSinkTarget,
} from './target-sink.ts';
export {
  type SourceTarget,
  type SourceTargetOptions,
  sourceRequest,
  startRequestedSourceTarget,
  startSourceTarget,
} from './target-source.ts';
export { makeTemporaryDirectory, type TemporaryDirectory } from './temporary-directory.ts';
export type { AuthorityFiles, CertificateFiles, TestPki } from './test-pki.ts';
export {
  type RelayListen,
  type RelayOptions,
  type RelayTls,
  type RunningRelay,
  startFarRelay,
  startNearRelay,
} from './tls-relay.ts';
