export { type AgentConstraints, agentConstraintUris } from './agent-constraints.ts';
export { Authority, type AuthorityOptions, createAuthority, loadAuthority } from './authority.ts';
export {
  createInitialPki,
  type InitialPki,
  type InitialPkiOptions,
  writeInitialPki,
} from './initial-pki.ts';
export {
  type CertificateKind,
  type IssuedCertificate,
  type IssueOptions,
  issueCertificate,
} from './issue.ts';
export type { KeyType } from './key-pair.ts';
export { type PemFile, pemPair, type WriteOptions, writePemFiles } from './pem-files.ts';
export { PkiError, type PkiErrorCode } from './pki-error.ts';
export type { AlternativeNames } from './subject-alternative-names.ts';
