export { createIssuer, type FairleadIssuer } from './issuer.ts';
export { type IssuerOptions, issuerOptions } from './options.ts';
export { uriNamesOf } from './port/enrollments.ts';
export { FileTokenStore } from './tokens/file-token-store.ts';
export { openTokenStore } from './tokens/open-token-store.ts';
export {
  type AgentGrant,
  isExpired,
  recordOf,
  type StoredToken,
  type TokenClaim,
  type TokenRecord,
  type TokenStore,
  TokenStoreError,
} from './tokens/token-store.ts';
export {
  checkTokenStoreOptions,
  type TokenStoreOptions,
  tokenStoreOptions,
} from './tokens/token-store-options.ts';
