import { createServer } from 'node:net';
import { type EndpointOptions, Listener } from './listener.ts';

/**
 * Starts a target that sends back what it receives, and ends its side after the peer. `connections`
 * counts all that were accepted.
 */
export function startEchoTarget(options: EndpointOptions = {}): Promise<Listener> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.pipe(socket);
  });
  return Listener.start(server, options);
}
