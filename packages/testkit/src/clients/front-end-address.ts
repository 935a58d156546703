import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import { dialTls } from './tls-client.ts';

/** Client-side TLS: PEM texts; without `cert` and `key`, the client has no certificate. */
export interface ClientTls {
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
  /** The name to verify and to send as SNI; `localhost` if left out. */
  readonly servername?: string;
}

/** A front end: a Unix domain socket, TCP with TLS, or plain TCP. */
export type FrontEndAddress =
  | { readonly path: string }
  | { readonly host: string; readonly port: number; readonly tls?: ClientTls };

/**
 * Opens a connection to a front end and verifies its certificate. The socket allows half-close, has no
 * delay and is not read. Rejects with the connection's error.
 *
 * With TLS 1.3, a server rejects a client certificate after this has resolved: the socket ends or has an
 * error.
 */
export async function openFrontEnd(
  address: FrontEndAddress,
  alpnProtocol: 'http/1.1' | 'h2' = 'http/1.1',
): Promise<Socket> {
  if ('path' in address) {
    const socket = connectTcp({ path: address.path, allowHalfOpen: true });
    await once(socket, 'connect');
    return socket;
  }
  const { host, port, tls } = address;
  if (!tls) {
    const socket = connectTcp({ host, port, allowHalfOpen: true, noDelay: true });
    await once(socket, 'connect');
    return socket;
  }
  const socket = dialTls({
    secureContext: contextOf(tls),
    host,
    port,
    servername: tls.servername ?? 'localhost',
    ALPNProtocols: [alpnProtocol],
  });
  await once(socket, 'secureConnect');
  return socket;
}

const contexts = new Map<string, SecureContext>();

/** Cached by certificates, because parsing them takes longer than the handshake. */
function contextOf({ ca, cert, key }: ClientTls): SecureContext {
  const id = [ca, cert, key].join();
  let context = contexts.get(id);
  if (!context) {
    context = createSecureContext({ ca, cert, key });
    contexts.set(id, context);
  }
  return context;
}
