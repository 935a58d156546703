import type { Socket } from 'node:net';

/**
 * Closes a TCP connection with RST, so that the peer sees a failure and not an end.
 *
 * Node cannot do this during a shutdown: libuv refuses (EINVAL), and Node then drops the handle without closing it, so
 * that the descriptor leaks. A shutdown begins only when all bytes have left and ends within a tick, so the reset waits
 * for it.
 */
export function resetSocket(socket: Socket): void {
  const isShuttingDown =
    socket.writableEnded && !socket.writableFinished && socket.writableLength === 0;
  if (isShuttingDown) socket.once('finish', () => socket.resetAndDestroy());
  else socket.resetAndDestroy();
}
