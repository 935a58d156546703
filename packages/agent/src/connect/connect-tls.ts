import { DuplexTransport, TUNNEL_ALPN } from '@fairlead/protocol';
import { type Connect, ConnectAttempt } from './connect-attempt.ts';
import { openServerConnection } from './server-connection.ts';
import type { SecureConnection } from './start-tls.ts';
import { closedEarly } from './tls-error.ts';

/** Frames straight on TLS (spec 10.1). */
export const connectTls: Connect = (endpoint, tls, options) =>
  ConnectAttempt.run(options, async (attempt) => {
    const connection = await openServerConnection(attempt, endpoint, tls, TUNNEL_ALPN);
    attempt.begin(`waiting for the first frame of ${connection.peer.address}`);
    await firstBytes(connection);
    return new DuplexTransport(connection.socket, 'tls');
  });

/**
 * Waits for the first bytes of the server's HELLO (spec 2.1) and leaves them unread. In TLS 1.3 the
 * client's handshake ends before the server verifies the client's certificate: only bytes from the server
 * prove that it accepted the agent.
 */
function firstBytes({ socket, peer, explain }: SecureConnection): Promise<void> {
  return new Promise((resolve, reject) => {
    const onReadable = (): void => {
      // 'readable' also announces the end, with nothing to read.
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
