import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';

/** `tls.connect` with half-close and without delay. */
export function dialTls(options: ConnectionOptions): TLSSocket {
  // Node supports this for clients (lib/_tls_wrap.js), but its types do not have it.
  const halfOpen: ConnectionOptions & { allowHalfOpen: boolean } = {
    ...options,
    allowHalfOpen: true,
  };
  return connect(halfOpen).setNoDelay(true);
}
