import type { Socket } from 'node:net';

/** Long enough for an answer to cross any network, short enough to be no burden. */
const lingerMs = 2_000;

/**
 * Sends an answer and closes the connection so that the answer arrives: a socket that is closed
 * while the peer still sends answers with RST, and that RST overtakes the answer in the peer's
 * kernel. So our side ends, what comes in is thrown away until the peer ends too, and only then,
 * or after a bounded time, the socket is destroyed.
 */
export function endLingering(socket: Socket, answer: string | Buffer): void {
  if (socket.destroyed) return;
  socket.on('error', ignore);
  socket.end(answer);
  socket.resume();
  const timer = setTimeout(destroy, lingerMs, socket);
  socket.once('close', () => clearTimeout(timer));
}

function destroy(socket: Socket): void {
  socket.destroy();
}

// The answer is best effort: a peer that is gone already does not miss it.
function ignore(): void {}
