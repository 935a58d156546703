import { createServer } from 'node:net';
import { type Endpoint, type EndpointOptions, Listener } from './listener.ts';

/** An echo target; it ends its side when the peer has ended and everything was echoed. */
export interface EchoTarget extends Endpoint {
  /** Connections accepted so far. */
  readonly connections: number;
  /** Connections open now. */
  readonly openConnections: number;
}

/** Starts a target that sends back what it receives. */
export async function startEchoTarget(options: EndpointOptions = {}): Promise<EchoTarget> {
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
