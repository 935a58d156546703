export { uriNamesOf } from './enrolments.ts';
export { FileTokenStore } from './file-token-store.ts';
export {
  createIssuer,
  type FairleadIssuer,
  type IssuerAddresses,
} from './issuer.ts';
export { openTokenStore } from './open-token-store.ts';
export { type IssuerOptions, issuerOptions } from './options.ts';
export { checkTokenPlace, type TokenPlace, tokenPlaceOptions } from './token-place.ts';
export {
  type AgentGrant,
  isExpired,
  recordOf,
  type StoredToken,
  type TokenClaim,
  type TokenRecord,
  type TokenStore,
  TokenStoreError,
} from './token-store.ts';
