import type { Writable } from 'node:stream';

/**
 * Holds back a socket's writes until the end of this turn of the event loop, so that the pieces which one
 * read of a tunnel brings leave in one system call.
 */
const corked: Writable[] = [];

function uncorkAll(): void {
  for (const socket of corked) socket.uncork();
  corked.length = 0;
}

/** Corks a socket until the end of the turn; harmless when it is corked already. */
export function corkUntilTurnEnd(socket: Writable): void {
  if (socket.writableCorked > 0) return;
  if (corked.length === 0) setImmediate(uncorkAll);
  corked.push(socket);
  socket.cork();
}
