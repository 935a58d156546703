import { createServer } from 'node:net';
import { type Endpoint, type EndpointOptions, Listener } from './listener.ts';

/**
 * Starts a target that accepts connections and resets them.
 * @param options.afterBytes received bytes after which it resets; 0, the default, resets on connect
 */
export async function startResetTarget(
  options: EndpointOptions & { readonly afterBytes?: number } = {},
): Promise<Endpoint> {
  const { afterBytes = 0 } = options;
  // Imported here, because many test files do not need it.
  const { resetSocket } = await import('@fairlead/protocol');
  const server = createServer((socket) => {
    let received = 0;
    socket.on('data', (chunk) => {
      received += chunk.length;
      if (received >= afterBytes) resetSocket(socket);
    });
    if (afterBytes === 0) resetSocket(socket);
  });
  return Listener.start(server, options);
}
