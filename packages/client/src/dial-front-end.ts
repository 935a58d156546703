import { connect, isIP, type Socket, type TcpNetConnectOpts } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import type { Route } from './route.ts';

/** The event after which the connection carries data. */
export const readyEvent = ({ tls }: Route): 'secureConnect' | 'connect' =>
  tls ? 'secureConnect' : 'connect';

/**
 * Connects to the route's address, over TLS if the route has `tls`. The certificate is verified for
 * `serverName`, or for the address' host. A failure is the socket's `error`.
 */
export function dialFrontEnd(
  { address, tls }: Route,
  options: {
    readonly alpn: 'http/1.1' | 'h2';
    /** Reads into a buffer that the next read overwrites. The callback returns whether to read on. */
    readonly onread?: { readonly buffer: Uint8Array; callback(bytes: number): boolean };
    readonly allowHalfOpen?: boolean;
  },
): Socket {
  const { alpn, ...plain } = options;
  // Node's types have `onread` for TCP only. libuv reads a Unix domain socket the same way.
  if (!tls) return connect({ ...address, ...plain, noDelay: true } as TcpNetConnectOpts);
  const { serverName, ...credentials } = tls;
  const name = serverName ?? ('host' in address ? address.host : 'localhost');
  const secured = {
    ...address,
    ...credentials,
    ...plain,
    // Overrides NODE_TLS_REJECT_UNAUTHORIZED.
    rejectUnauthorized: true,
    // SNI (RFC 6066, section 3) contains names only. An IP address is verified as the host.
    ...(isIP(name) === 0 ? { servername: name } : { servername: '' }),
    ALPNProtocols: [alpn],
  };
  return connectTls(secured as ConnectionOptions).setNoDelay(true);
}
