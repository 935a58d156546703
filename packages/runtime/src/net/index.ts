export { Backoff, type BackoffOptions } from './backoff.ts';
export { formatHostPort, type HostPort, parseHostPort } from './host-port.ts';
export {
  embeddedAddress,
  type IpAddress,
  type IpNetwork,
  ipAddressOf,
  networkContains,
  parseIpAddress,
  parseIpNetwork,
} from './ip-address.ts';
export { bind, type ListenPlace, listen, listenError, logListening } from './listen.ts';
export { peerAddress } from './peer-address.ts';
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
export { type TokenBucketOptions, TokenBuckets } from './token-buckets.ts';
