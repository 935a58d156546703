import type { Writable } from 'node:stream';

/** Sockets whose writes wait for the end of this tick. */
const corked: Writable[] = [];

function uncorkAll(): void {
  for (const socket of corked) socket.uncork();
  corked.length = 0;
}

/**
 * Holds back a socket's writes until the end of this tick of the event loop, so that all chunks of one read from the
 * tunnel leave in one system call. Does nothing if the socket is already corked.
 */
export function corkUntilTickEnd(socket: Writable): void {
  if (socket.writableCorked > 0) return;
  if (corked.length === 0) setImmediate(uncorkAll);
  corked.push(socket);
  socket.cork();
}
