import type { Socket } from 'node:net';

/** How long a client has to close its side. */
const CLOSE_MS = 2_000;

/** Destroys a socket unless it closes soon. */
export function destroyLater(socket: Socket): void {
  if (socket.destroyed) return;
  const timer = setTimeout(() => socket.destroy(), CLOSE_MS);
  socket.once('close', () => clearTimeout(timer));
}
