import { once } from 'node:events';
import type { AddressInfo, Server, Socket } from 'node:net';

/** A started part of a test. `close` can be repeated, and resolves when everything is closed. */
export interface Started {
  close(): Promise<void>;
}

export interface Endpoint extends Started {
  readonly host: string;
  readonly port: number;
}

/** The address that a target listens on. */
export interface EndpointOptions {
  /** An address of this machine; `127.0.0.1` if left out. */
  readonly host?: string;
  /** An ephemeral port if left out. */
  readonly port?: number;
}

/** Room for a thousand concurrent dials. The kernel drops further SYNs, and a retry takes 1 s. */
export const listenBacklog = 4096;

/**
 * A listening server that knows its connections, so that `close` ends them too. `net.Server.close` would wait
 * for the peers.
 */
export class Listener implements Endpoint {
  readonly host: string;
  readonly port: number;
  readonly sockets = new Set<Socket>();
  #connections = 0;
  readonly #server: Server;

  private constructor(server: Server, host: string) {
    this.#server = server;
    this.host = host;
    this.port = (server.address() as AddressInfo).port;
    server.on('connection', (socket: Socket) => {
      this.#connections++;
      this.sockets.add(socket);
      socket.once('close', () => this.sockets.delete(socket));
      // Many tests reset connections, which must not end the process.
      socket.on('error', () => {});
    });
  }

  /** Binds `server`. Rejects with the system's error. */
  static async start(
    server: Server,
    { host = '127.0.0.1', port = 0 }: EndpointOptions = {},
  ): Promise<Listener> {
    server.listen({ host, port, backlog: listenBacklog });
    await once(server, 'listening');
    return new Listener(server, host);
  }

  get connections(): number {
    return this.#connections;
  }

  get openConnections(): number {
    return this.sockets.size;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }
}
