export { AgentDenyList, type DeniablePeer } from './agent-deny-list.ts';
export { type AlternativeName, parseAlternativeNames } from './alternative-names.ts';
export { writeFileAtomically } from './atomic-file.ts';
export { Backoff, type BackoffOptions } from './backoff.ts';
export { formatByteSize, parseByteSize } from './byte-size.ts';
export { type CertificateDates, explainDates, explainUntimely } from './certificate-dates.ts';
export {
  CertificateExpiry,
  type CertificateExpiryOptions,
  type FileExpiry,
} from './certificate-expiry.ts';
export {
  type CertificateIdentity,
  identityOf,
  isEnrolmentId,
  peerCertificate,
} from './certificate-identity.ts';
export { UntimelyFilesError } from './certificate-replacement.ts';
export { type Command, runCommand } from './command.ts';
export { counted } from './counted.ts';
export { describeOptions } from './describe-options.ts';
export {
  FileReloader,
  type FileReloaderOptions,
  type ReloadableFiles,
} from './file-reloader.ts';
export { configOptions, logOptions } from './general-options.ts';
export { formatGoDuration, maxTimerMs, parseGoDuration } from './go-duration.ts';
export { HandshakeLimit } from './handshake-limit.ts';
export { letHeapGrow } from './heap-growth.ts';
export { formatHostPort, type HostPort, parseHostPort } from './host-port.ts';
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
} from './http-admin.ts';
export {
  embeddedAddress,
  type IpAddress,
  type IpNetwork,
  ipAddressOf,
  networkContains,
  parseIpAddress,
  parseIpNetwork,
} from './ip-address.ts';
export { konnectivityOptions } from './konnectivity-options.ts';
export { kubernetesGroup, kubernetesOptions } from './kubernetes-options.ts';
export { bind, type ListenPlace, listen, listenError, logListening } from './listen.ts';
export {
  createFileLog,
  createLog,
  createLogger,
  type Logger,
  type LogSettings,
  logLevel,
  type ProgramLog,
} from './logger.ts';
export {
  type InertOption,
  ignoredOption,
  type LiveOption,
  option,
  refusedOption,
} from './option.ts';
export { checkDistinctPorts, checkPair, warnOfLogDestination } from './option-checks.ts';
export { configurationDocs } from './option-docs.ts';
export { helpText } from './option-help.ts';
export * as kinds from './option-kinds.ts';
export {
  type AnyOptionTable,
  defineOptions,
  type OptionDeclarations,
  type OptionSource,
  type OptionsOf,
  type OptionTable,
  type OptionValues,
} from './option-table.ts';
export {
  completeOptions,
  type ParsedOptions,
  type ParseInput,
  parseOptions,
} from './parse-options.ts';
export { peerAddress } from './peer-address.ts';
export { refusalOfPeer } from './peer-refusal.ts';
export { type NamedFile, readCertificateFile, readKeyFile } from './pem-file.ts';
export { printable, printableAll } from './printable.ts';
export {
  exitFatal,
  type Program,
  type ProgramContext,
  type RunningProgram,
  runProgram,
} from './program.ts';
export { readCheckedFile } from './read-checked-file.ts';
export { readNamedBytes, readNamedFile } from './read-named-file.ts';
export { describeRelease, type Release, release } from './release.ts';
export { StartupError } from './startup-error.ts';
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
} from './target-rule.ts';
export { loadTlsFiles, type TlsFiles, type TlsFilesSpec } from './tls-files.ts';
export {
  defaultSuitesText,
  opensslCiphers,
  secureVersion,
  type TlsVersionName,
} from './tls-names.ts';
export { type TokenBucketOptions, TokenBuckets } from './token-buckets.ts';
export { checkWindows, reloadOptions, tunnelOptions } from './tunnel-options.ts';
export { UsageError } from './usage-error.ts';
