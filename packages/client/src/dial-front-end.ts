import { connect, isIP, type Socket, type TcpNetConnectOpts } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import type { Route } from './route.ts';

/** Reads into a buffer of the caller's, which is overwritten by the next read. */
interface ReadInto {
  readonly buffer: Uint8Array;
  /** @returns whether reading goes on */
  callback(bytes: number): boolean;
}

export interface DialOptions {
  readonly alpn: 'http/1.1' | 'h2';
  readonly onread?: ReadInto;
  readonly allowHalfOpen?: boolean;
}

/** The event after which the connection carries data. */
export const readyEvent = ({ tls }: Route): 'secureConnect' | 'connect' =>
  tls ? 'secureConnect' : 'connect';

/**
 * Connects to the route's address, over TLS where the route says so. The certificate is verified
 * for `serverName`, or the address' host. Failures are the socket's `error`.
 */
export function dialFrontEnd({ address, tls }: Route, options: DialOptions): Socket {
  const { alpn, ...plain } = options;
  // Node's types know `onread` for TCP only; libuv reads a Unix domain socket the same way.
  if (!tls) return connect({ ...address, ...plain, noDelay: true } as TcpNetConnectOpts);
  const { serverName, ...credentials } = tls;
  const name = serverName ?? ('host' in address ? address.host : 'localhost');
  const secured = {
    ...address,
    ...credentials,
    ...plain,
    // Whatever NODE_TLS_REJECT_UNAUTHORIZED says.
    rejectUnauthorized: true,
    // SNI (RFC 6066 section 3) knows names only; an IP address is verified as the host.
    ...(isIP(name) === 0 ? { servername: name } : { servername: '' }),
    ALPNProtocols: [alpn],
  };
  return connectTls(secured as ConnectionOptions).setNoDelay(true);
}
