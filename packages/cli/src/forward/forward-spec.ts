import { parseHostPort } from '@fairlead/runtime/net';
import { UsageError } from '@fairlead/runtime/process';

export type ForwardSpec = ReturnType<typeof parseForwardSpec>;

/**
 * Reads `LOCAL:HOST:PORT`. `:HOST:PORT` lets the system pick the local port (0), and `HOST:PORT` uses the port
 * of the target, like kubectl.
 * @throws UsageError
 */
export function parseForwardSpec(written: string) {
  const match = /^(?:(\d{0,5}):)?((?:\[[^\]]*\]|[^:[\]]+):\d+)$/.exec(written);
  const target = match ? parseHostPort(match[2]!) : undefined;
  const localPort = match?.[1] === undefined ? (target?.port ?? 0) : Number(match[1]);
  if (!target || localPort > 65_535) {
    throw new UsageError(
      `"${written}" is not LOCAL:HOST:PORT, with ports up to 65535 (IPv6 as LOCAL:[ADDRESS]:PORT)`,
    );
  }
  return { localPort, target };
}
