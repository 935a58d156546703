export { AgentDenyList } from './agent-deny-list.ts';
export { CertificateExpiry, type FileExpiry } from './certificate-expiry.ts';
export {
  type CertificateIdentity,
  identityOf,
  isEnrollmentId,
  parseAlternativeNames,
  peerCertificate,
  subjectOf,
} from './certificate-identity.ts';
export { explainDates, explainVerdict, refusalOfPeer } from './certificate-verdict.ts';
export { endpointsOf, HandshakeLimit } from './handshake-limit.ts';
export { type NamedFile, namedFile, readCertificateFile, readKeyFile } from './pem-file.ts';
export { explainTlsFailure, isPlaintext } from './tls-failure.ts';
export { loadTlsFiles, type TlsFiles, type TlsFilesSpec, UntimelyFilesError } from './tls-files.ts';
export { defaultSuitesText, opensslCiphers, secureVersion } from './tls-names.ts';
