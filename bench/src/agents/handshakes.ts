import { syncBuiltinESMExports } from 'node:module';
import tls from 'node:tls';
import type { Handshakes } from './fleet-order.ts';

let full = 0;
let resumed = 0;

/**
 * Counts the handshakes of all TLS connections that this process opens from now on. It wraps `tls.connect`,
 * so it must run before the agents' code is loaded.
 */
export function countHandshakes(): void {
  const connect = tls.connect as (...args: unknown[]) => tls.TLSSocket;
  tls.connect = ((...args: unknown[]) => {
    const socket = connect(...args);
    socket.once('secureConnect', () => {
      if (socket.isSessionReused()) resumed++;
      else full++;
    });
    return socket;
  }) as typeof tls.connect;
  syncBuiltinESMExports();
}

/** Returns the counts and resets them. */
export function takeHandshakes(): Handshakes {
  const taken = { full, resumed };
  full = resumed = 0;
  return taken;
}
