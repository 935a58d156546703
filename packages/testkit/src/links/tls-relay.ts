import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import {
  type AddressInfo,
  connect as connectTcp,
  createServer,
  type Server,
  type Socket,
} from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { dialTls } from '../clients/tls-client.ts';
import { listenBacklog, type Started } from '../targets/listener.ts';

/**
 * The reference of the bench: Node with TLS and nothing else. A near and a far relay, one TLS connection
 * with mutual certificates and a full handshake for each stream, and `pipe` in both directions.
 *
 *     client -> near relay -> TLS -> far relay -> target
 */
export interface RelayTls {
  /** PEM texts. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** A Unix domain socket, or TCP; port 0 lets the system pick one. */
export type RelayListen =
  | { readonly path: string }
  | { readonly host: string; readonly port: number };

export interface RelayOptions {
  readonly listen: RelayListen;
  readonly to: { readonly host: string; readonly port: number };
  readonly tls: RelayTls;
}

export interface RunningRelay extends Started {
  /** 0 for a Unix domain socket. */
  readonly port: number;
}

/** Starts the near relay: it accepts plain connections, and opens a TLS connection for each. */
export async function startNearRelay({ listen, to, tls }: RelayOptions): Promise<RunningRelay> {
  const server = createServer({ allowHalfOpen: true, noDelay: true });
  return startRelay(server, 'connection', listen, () =>
    dialTls({ ...to, ...tls, servername: 'localhost' }),
  );
}

/** Starts the far relay: it accepts TLS with a client certificate, and opens a plain connection for each. */
export async function startFarRelay({ listen, to, tls }: RelayOptions): Promise<RunningRelay> {
  const server = createTlsServer({
    ...tls,
    requestCert: true,
    rejectUnauthorized: true,
    allowHalfOpen: true,
    noDelay: true,
  });
  return startRelay(server, 'secureConnection', listen, () =>
    connectTcp({ ...to, allowHalfOpen: true, noDelay: true }),
  );
}

async function startRelay(
  server: Server,
  event: 'connection' | 'secureConnection',
  listen: RelayListen,
  dial: () => Socket,
): Promise<RunningRelay> {
  const sockets = new Set<Socket>();
  server.on(event, (near: Socket) => {
    const far = dial();
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.once('close', () => sockets.delete(from));
      from.on('error', () => to.destroy());
      from.pipe(to);
    }
  });
  server.listen({ ...listen, backlog: listenBacklog });
  await once(server, 'listening');
  const address = server.address() as AddressInfo | string;
  return {
    port: typeof address === 'string' ? 0 : address.port,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
      if ('path' in listen) await rm(listen.path, { force: true });
    },
  };
}
