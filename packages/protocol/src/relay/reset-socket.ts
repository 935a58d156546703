import type { Socket } from 'node:net';

/**
 * Closes a TCP connection with RST, so that its peer sees a failure and not an end.
 *
 * Node cannot do so while a shutdown is under way: libuv refuses (EINVAL), and Node then forgets the
 * handle without closing it, a descriptor lost for good. The shutdown is over within a turn of the
 * event loop, since it begins only when all bytes have left; until then the reset waits.
 */
export function resetSocket(socket: Socket): void {
  const isShuttingDown =
    socket.writableEnded && !socket.writableFinished && socket.writableLength === 0;
  if (isShuttingDown) socket.once('finish', () => socket.resetAndDestroy());
  else socket.resetAndDestroy();
}
