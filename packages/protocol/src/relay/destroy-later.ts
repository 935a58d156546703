import type { Socket } from 'node:net';

/** Destroys a socket unless it closes within the time. */
export function destroyLater(socket: Socket, timeoutMs: number): void {
  if (socket.destroyed) return;
  const timer = setTimeout(() => socket.destroy(), timeoutMs);
  socket.once('close', () => clearTimeout(timer));
}
