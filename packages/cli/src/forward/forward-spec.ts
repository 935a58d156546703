import type { TcpAddress } from '@fairlead/client';
import { parseHostPort } from '@fairlead/runtime/net';
import { UsageError } from '@fairlead/runtime/process';

export interface ForwardSpec {
  /** 0 lets the system pick one. */
  readonly localPort: number;
  readonly target: TcpAddress;
}

/**
 * Reads `LOCAL:HOST:PORT`. `:HOST:PORT` lets the system pick the local port, and `HOST:PORT` uses the port
 * of the target, like kubectl.
 * @throws UsageError
 */
export function parseForwardSpec(written: string): ForwardSpec {
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
