export {
  Authority,
  type AuthorityOptions,
  createAuthority,
  createIssuingAuthority,
  loadAuthority,
  loadAuthorityFiles,
} from './authority.ts';
export {
  createInitialPki,
  type InitialPki,
  type InitialPkiOptions,
  writeInitialPki,
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
export { type IssuerPki, type IssuerPkiOptions, writeIssuerPki } from './issuer-pki.ts';
export type { KeyType } from './key-pair.ts';
export {
  certificateFile,
  type PemFile,
  pemPair,
  type WriteOptions,
  writePemFiles,
} from './pem-files.ts';
export { PkiError, type PkiErrorCode } from './pki-error.ts';
export { type AgentConstraints, agentConstraintUris } from './x509/agent-constraints.ts';
export { publicKeyOfRequest } from './x509/certificate-request.ts';
export type { AlternativeNames } from './x509/subject-alternative-names.ts';
