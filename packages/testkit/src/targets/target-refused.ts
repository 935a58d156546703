import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { type Endpoint, type EndpointOptions, Listener } from './listener.ts';

/**
 * Reserves a port that refuses connections until it is closed.
 *
 * A port that was bound and released may be given to another process at any time. This one stays
 * taken: it is the local port of a connection of our own, so nobody else can listen on it, and
 * the kernel answers a SYN with RST.
 */
export async function reserveRefusedPort(options: EndpointOptions = {}): Promise<Endpoint> {
  const keeper = await Listener.start(createServer(), options);
  // localAddress makes Node bind before it connects: the kernel then keeps the port from dialers
  // too, one of which could otherwise connect to itself.
  const holder = connect({ host: keeper.host, port: keeper.port, localAddress: keeper.host });
  await once(holder, 'connect');
  const port = holder.localPort!;
  return {
    host: keeper.host,
    port,
    async close() {
      holder.destroy();
      await keeper.close();
    },
  };
}
