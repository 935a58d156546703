export {
  type AdminDeadlines,
  type AdminReply,
  type AdminRoute,
  type AdminRoutes,
  HttpAdmin,
  healthRoutes,
  jsonReply,
  metricsRoutes,
  textReply,
} from './admin/http-admin.ts';
export { Backoff, type BackoffOptions } from './net/backoff.ts';
export { formatHostPort, type HostPort, parseHostPort } from './net/host-port.ts';
export {
  embeddedAddress,
  type IpAddress,
  type IpNetwork,
  ipAddressOf,
  networkContains,
  parseIpAddress,
  parseIpNetwork,
} from './net/ip-address.ts';
export { bind, type ListenPlace, listen, listenError, logListening } from './net/listen.ts';
export { peerAddress } from './net/peer-address.ts';
export {
  canonicalName,
  noRule,
  parseTargetRule,
  ruleCoversAddress,
  ruleCoversName,
  ruleCoversPort,
  type TargetRule,
  type TargetRules,
  targetRuleSchema,
} from './net/target-rule.ts';
export { type TokenBucketOptions, TokenBuckets } from './net/token-buckets.ts';
export { describeOptions } from './options/describe-options.ts';
export { configOptions, logOptions } from './options/general-options.ts';
export { konnectivityOptions } from './options/konnectivity-options.ts';
export { kubernetesGroup, kubernetesOptions } from './options/kubernetes-options.ts';
export {
  type InertOption,
  ignoredOption,
  type LiveOption,
  option,
  refusedOption,
} from './options/option.ts';
export { checkDistinctPorts, checkPair, warnOfLogDestination } from './options/option-checks.ts';
export { configurationDocs } from './options/option-docs.ts';
export { helpText } from './options/option-help.ts';
export * as kinds from './options/option-kinds.ts';
export {
  type AnyOptionTable,
  defineOptions,
  type OptionDeclarations,
  type OptionSource,
  type OptionsOf,
  type OptionTable,
  type OptionValues,
} from './options/option-table.ts';
export { formatByteSize, parseByteSize } from './options/read/byte-size.ts';
export { formatGoDuration, maxTimerMs, parseGoDuration } from './options/read/go-duration.ts';
export {
  completeOptions,
  type ParsedOptions,
  type ParseInput,
  parseOptions,
} from './options/read/parse-options.ts';
export { readNamedBytes, readNamedFile } from './options/read/read-named-file.ts';
export { checkWindows, reloadOptions, tunnelOptions } from './options/tunnel-options.ts';
export { writeFileAtomically } from './process/atomic-file.ts';
export { type Command, runCommand } from './process/command.ts';
export { counted } from './process/counted.ts';
export {
  FileReloader,
  type FileReloaderOptions,
  type ReloadableFiles,
} from './process/file-reloader.ts';
export { letHeapGrow } from './process/heap-growth.ts';
export {
  createFileLog,
  createLog,
  createLogger,
  type Logger,
  type LogSettings,
  logLevel,
  type ProgramLog,
} from './process/logger.ts';
export { printable, printableAll } from './process/printable.ts';
export {
  exitFatal,
  type Program,
  type ProgramContext,
  type RunningProgram,
  runProgram,
} from './process/program.ts';
export { readCheckedFile } from './process/read-checked-file.ts';
export { describeRelease, type Release, release } from './process/release.ts';
export { StartupError } from './process/startup-error.ts';
export { UsageError } from './process/usage-error.ts';
export { AgentDenyList, type DeniablePeer } from './tls/agent-deny-list.ts';
export { type AlternativeName, parseAlternativeNames } from './tls/alternative-names.ts';
export { type CertificateDates, explainDates, explainUntimely } from './tls/certificate-dates.ts';
export {
  CertificateExpiry,
  type CertificateExpiryOptions,
  type FileExpiry,
} from './tls/certificate-expiry.ts';
export {
  type CertificateIdentity,
  identityOf,
  isEnrolmentId,
  peerCertificate,
} from './tls/certificate-identity.ts';
export { UntimelyFilesError } from './tls/certificate-replacement.ts';
export { HandshakeLimit } from './tls/handshake-limit.ts';
export { refusalOfPeer } from './tls/peer-refusal.ts';
export { type NamedFile, readCertificateFile, readKeyFile } from './tls/pem-file.ts';
export { loadTlsFiles, type TlsFiles, type TlsFilesSpec } from './tls/tls-files.ts';
export {
  defaultSuitesText,
  opensslCiphers,
  secureVersion,
  type TlsVersionName,
} from './tls/tls-names.ts';
