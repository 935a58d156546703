export { Changes } from './changes.ts';
export {
  type ConnectReply,
  connectHead,
  connectThrough,
  exchangeRaw,
} from './clients/connect-client.ts';
export { type ClientTls, type FrontEndAddress, openFrontEnd } from './clients/front-end-address.ts';
export { Http2ConnectClient } from './clients/http2-connect-client.ts';
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
  readProcessStats,
  watchProcess,
} from './processes/proc-stats.ts';
export type { LogLine } from './processes/process-log.ts';
export {
  closeAfter,
  commandOf,
  type ProcessExit,
  type ProcessOptions,
  programs,
  RunningProcess,
  testRunEnvironment,
  workspaceRoot,
} from './processes/process-runner.ts';
export { makeTemporaryDirectory } from './processes/temporary-directory.ts';
export {
  type ByteReport,
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
export { startEchoTarget } from './targets/target-echo.ts';
export { startEarlyEndTarget, startLateAnswerTarget } from './targets/target-half-close.ts';
export { startKubeletTarget, startPodTarget } from './targets/target-kubelet.ts';
export { reserveRefusedPort } from './targets/target-refused.ts';
export { startResetTarget } from './targets/target-reset.ts';
export { readSinkReport, startSinkTarget } from './targets/target-sink.ts';
export {
  sourceRequest,
  startRequestedSourceTarget,
  startSourceTarget,
} from './targets/target-source.ts';
