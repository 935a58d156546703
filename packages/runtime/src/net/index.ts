export { Backoff } from './backoff.ts';
export { formatHostPort, type HostPort, parseHostPort, peerAddress } from './host-port.ts';
export {
  embeddedAddress,
  type IpAddress,
  type IpNetwork,
  networkContains,
  parseCidr,
  parseIpAddress,
  parseIpNetwork,
} from './ip-address.ts';
export { bind, type ListenerAddress, listen, listenError, logListening } from './listen.ts';
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
export { warmSockets } from './warm-sockets.ts';
