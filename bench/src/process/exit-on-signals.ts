/**
 * Exits through `process.exit` on a signal, so that exit handlers end started programs and remove temporary files. By
 * default, Node ends without running these handlers.
 */
export function exitOnSignals(): void {
  process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', () => process.exit(143));
  process.once('SIGHUP', () => process.exit(129));
}
