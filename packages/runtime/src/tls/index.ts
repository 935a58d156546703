export { AgentDenyList, type DeniablePeer } from './agent-deny-list.ts';
export { type AlternativeName, parseAlternativeNames } from './alternative-names.ts';
export { type CertificateDates, explainDates, explainUntimely } from './certificate-dates.ts';
export {
  CertificateExpiry,
  type CertificateExpiryOptions,
  type FileExpiry,
} from './certificate-expiry.ts';
export {
  type CertificateIdentity,
  identityOf,
  isEnrollmentId,
  peerCertificate,
} from './certificate-identity.ts';
export { UntimelyFilesError } from './certificate-replacement.ts';
export { HandshakeLimit } from './handshake-limit.ts';
export { refusalOfPeer } from './peer-refusal.ts';
export { type NamedFile, readCertificateFile, readKeyFile } from './pem-file.ts';
export { loadTlsFiles, type TlsFiles, type TlsFilesSpec } from './tls-files.ts';
export {
  defaultSuitesText,
  opensslCiphers,
  secureVersion,
  type TlsVersionName,
} from './tls-names.ts';
