import type { Socket } from 'node:net';

/** Resolves when the socket has closed, with or without an error. */
export function untilClosed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.on('error', () => {}).once('close', () => resolve());
  });
}
