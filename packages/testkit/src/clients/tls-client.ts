import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';

/** `tls.connect` for a connection that may be half-closed and sends without delay. */
export function dialTls(options: ConnectionOptions): TLSSocket {
  // Read by Node for clients as well (lib/_tls_wrap.js), but missing from its types.
  const halfOpen: ConnectionOptions & { allowHalfOpen: boolean } = {
    ...options,
    allowHalfOpen: true,
  };
  return connect(halfOpen).setNoDelay(true);
}
