export {
  Authority,
  createAuthority,
  createIssuingAuthority,
  loadAuthority,
} from './authority.ts';
export {
  createInitialPki,
  type InitialPki,
  writeInitialPki,
  writeIssuerPki,
} from './initial-pki.ts';
export {
  type CertificateKind,
  certifyKey,
  checkNames,
  type IssuedCertificate,
  type IssueOptions,
  issueCertificate,
  recertifyKey,
  type SignedCertificate,
} from './issue.ts';
export type { KeyType } from './key-pair.ts';
export { certificateFile, type PemFile, pemPair, writePemFiles } from './pem-files.ts';
export { PkiError, type PkiErrorCode } from './pki-error.ts';
export { agentConstraintUris } from './x509/agent-constraints.ts';
export { publicKeyOfRequest } from './x509/certificate-request.ts';
