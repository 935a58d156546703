import type { Socket } from 'node:net';

/** How long a client has to close its side. */
const CLOSE_MS = 2_000;

/** Destroys a socket unless it closes soon. */
export function destroyLater(socket: Socket): void {
  if (socket.destroyed) return;
  const timer = setTimeout(() => socket.destroy(), CLOSE_MS);
  socket.once('close', () => clearTimeout(timer));
}

/** Closes the socket of a client that needs nothing more, after what is already written. */
export function closeSocket(socket: Socket): void {
  if (socket.writableLength === 0) {
    socket.destroy();
    return;
  }
  socket.end();
  destroyLater(socket);
}
