/**
 * Makes an interruption an orderly exit, whose handlers end the programs that were started and
 * remove what was written: node's own reaction to a signal runs none of them.
 */
export function exitOnSignals(): void {
  process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', () => process.exit(143));
  process.once('SIGHUP', () => process.exit(129));
}
