export {
  createIssuer,
  type FairleadIssuer,
  type IssuerAddresses,
} from './issuer.ts';
export { type IssuerOptions, issuerOptions } from './options.ts';
export { uriNamesOf } from './port/enrollments.ts';
export { FileTokenStore } from './tokens/file-token-store.ts';
export { openTokenStore } from './tokens/open-token-store.ts';
export { checkTokenPlace, type TokenPlace, tokenPlaceOptions } from './tokens/token-place.ts';
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
