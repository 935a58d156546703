import { once } from 'node:events';
import { connect, createServer as createTcpServer, type Socket } from 'node:net';
import { resetSocket } from '@fairlead/protocol';
import type { Test } from 'tap';
import { loopback } from '../support/fleet.ts';

/** A TCP load balancer that picks one of its ports at random for each connection. */
export interface Balancer {
  readonly port: number;
  readonly ports: Set<number>;
}

export async function startBalancer(t: Test, ports: Iterable<number>): Promise<Balancer> {
  const open = new Set<Socket>();
  const balancer = createTcpServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    const all = [...targets];
    const far = connect({
      host: loopback,
      port: all[Math.floor(Math.random() * all.length)] ?? 0,
      allowHalfOpen: true,
      noDelay: true,
    });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(one);
      one.on('error', () => resetSocket(other));
      one.on('close', () => {
        open.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  const targets = new Set(ports);
  balancer.listen(0, loopback);
  await once(balancer, 'listening');
  t.teardown(() => {
    for (const socket of open) socket.destroy();
    balancer.close();
  });
  const address = balancer.address();
  if (address === null || typeof address === 'string') throw new Error('no TCP address');
  return { port: address.port, ports: targets };
}
