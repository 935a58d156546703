import { createServer } from 'node:net';
import { type Endpoint, type EndpointOptions, Listener } from './listener.ts';

export interface ResetTargetOptions extends EndpointOptions {
  /** Resets once this many bytes have arrived; 0, the default, resets on connect. */
  readonly afterBytes?: number;
}

/** Starts a target that accepts and then answers with a TCP RST. */
export async function startResetTarget(options: ResetTargetOptions = {}): Promise<Endpoint> {
  const { afterBytes = 0 } = options;
  // Loaded here only: many test files need nothing of this package.
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
