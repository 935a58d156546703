import { DuplexTransport } from '@fairlead/protocol';
import { TUNNEL_ALPN } from '@fairlead/protocol/internal';
import { ConnectAttempt, type Connector } from './connect-attempt.ts';
import { openServerConnection, type SecureConnection } from './server-connection.ts';
import { closedEarly } from './tls-error.ts';

/** Frames straight on TLS (spec 10.1). */
export const connectTls: Connector = (endpoint, tls, options) =>
  ConnectAttempt.run(options, async (attempt) => {
    const connection = await openServerConnection(attempt, endpoint, tls, TUNNEL_ALPN);
    attempt.begin(`waiting for the first frame of ${connection.peer.address}`);
    await firstBytes(connection);
    return new DuplexTransport(connection.socket, 'tls');
  });

/**
 * Waits for the server's HELLO, which comes unasked (spec 2.1), and leaves it unread. In TLS 1.3 our
 * handshake is over before the server has looked at our certificate: only bytes prove its consent.
 */
function firstBytes({ socket, peer, explain }: SecureConnection): Promise<void> {
  return new Promise((resolve, reject) => {
    const onReadable = (): void => {
      // An end is announced by 'readable' as well, with nothing to read.
      if (socket.readableLength > 0) settle(resolve);
    };
    const onError = (error: Error): void => settle(() => reject(explain(error)));
    const onEnd = (): void => settle(() => reject(closedEarly(peer)));
    const settle = (outcome: () => void): void => {
      socket.off('readable', onReadable);
      socket.off('error', onError);
      socket.off('end', onEnd);
      socket.off('close', onEnd);
      outcome();
    };
    socket.on('readable', onReadable);
    socket.on('error', onError);
    socket.on('end', onEnd);
    socket.on('close', onEnd);
  });
}
