import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { type Endpoint, type EndpointOptions, Listener } from './listener.ts';

/**
 * Reserves a port that refuses connections until it is closed.
 *
 * The system can give a released port to another process at any time. This port stays in use as the
 * local port of a connection, so that no process can listen on it, and the kernel answers a SYN with RST.
 */
export async function reserveRefusedPort(options: EndpointOptions = {}): Promise<Endpoint> {
  const keeper = await Listener.start(createServer(), options);
  // With localAddress, Node binds before it connects. The kernel then does not give the port to dialers,
  // one of which could connect to itself.
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
