import { createServer } from 'node:net';
import { type Endpoint, type EndpointOptions, Listener } from './listener.ts';

/**
 * Starts a target that sends back what it receives, and ends its side after the peer. `connections`
 * counts all that were accepted.
 */
export async function startEchoTarget(
  options: EndpointOptions = {},
): Promise<Endpoint & { readonly connections: number; readonly openConnections: number }> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.pipe(socket);
  });
  const listener = await Listener.start(server, options);
  return {
    host: listener.host,
    port: listener.port,
    get connections() {
      return listener.connections;
    },
    get openConnections() {
      return listener.sockets.size;
    },
    close: () => listener.close(),
  };
}
