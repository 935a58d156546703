export { Changes } from './changes.ts';
export {
  type ConnectReply,
  type ConnectRequest,
  connectHead,
  connectThrough,
  exchangeRaw,
  type RawExchange,
} from './clients/connect-client.ts';
export { type ClientTls, type FrontEndAddress, openFrontEnd } from './clients/front-end-address.ts';
export { Http2ConnectClient, type Http2ConnectReply } from './clients/http2-connect-client.ts';
export { type EventuallyOptions, eventually } from './eventually.ts';
export { ApiStatus } from './kubernetes/api-status.ts';
export { KubernetesApi, type TokenOwner } from './kubernetes/kubernetes-api.ts';
export type { StoredLease } from './kubernetes/lease-store.ts';
export { type SlowLink, type SlowLinkOptions, startSlowLink } from './links/slow-link.ts';
export {
  type RelayListen,
  type RelayOptions,
  type RelayTls,
  type RunningRelay,
  startFarRelay,
  startNearRelay,
} from './links/tls-relay.ts';
export { LogWatch } from './log-watch.ts';
export { sharedTestPki, testPkiVariable } from './pki/certificates.ts';
export { makeFairleadPki } from './pki/fairlead-pki.ts';
export { makeOpensslPki } from './pki/openssl-pki.ts';
export type { AuthorityFiles, CertificateFiles, TestPki } from './pki/test-pki.ts';
export { pickPort } from './processes/pick-port.ts';
export {
  countOpenFiles,
  type ProcessStats,
  type ProcessUsage,
  readProcessStats,
  watchProcess,
} from './processes/proc-stats.ts';
export type { LogLine } from './processes/process-log.ts';
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
} from './processes/process-runner.ts';
export {
  makeTemporaryDirectory,
  type TemporaryDirectory,
} from './processes/temporary-directory.ts';
export {
  type ByteReport,
  type CountOptions,
  countBytes,
  readText,
} from './targets/byte-report.ts';
export type { KubeletStats } from './targets/kubelet-routes.ts';
export type { Endpoint, EndpointOptions, Started } from './targets/listener.ts';
export {
  seededBuffer,
  seededChunks,
  seededReadable,
  seededSha256,
} from './targets/seeded-bytes.ts';
export { startBlackholeTarget } from './targets/target-blackhole.ts';
export { type EchoTarget, startEchoTarget } from './targets/target-echo.ts';
export {
  type EarlyEndTargetOptions,
  type LateAnswerTarget,
  type LateAnswerTargetOptions,
  startEarlyEndTarget,
  startLateAnswerTarget,
} from './targets/target-half-close.ts';
export {
  type HttpTarget,
  type KubeletTargetOptions,
  startKubeletTarget,
  startPodTarget,
} from './targets/target-kubelet.ts';
export { reserveRefusedPort } from './targets/target-refused.ts';
export { type ResetTargetOptions, startResetTarget } from './targets/target-reset.ts';
export {
  readSinkReport,
  type SinkTarget,
  type SinkTargetOptions,
  startSinkTarget,
} from './targets/target-sink.ts';
export {
  type SourceTarget,
  type SourceTargetOptions,
  sourceRequest,
  startRequestedSourceTarget,
  startSourceTarget,
} from './targets/target-source.ts';
