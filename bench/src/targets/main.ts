/** A target process. It listens on loopback, serves one kind of target, and counts. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { TcpAddress } from '@fairlead/client';
import { createLoadTarget, Meter } from '@fairlead/client/load';
import { serveCalls } from '../process/calls.ts';
import type { TargetOrder } from './target-kind.ts';

/** Measures open hundreds of connections at once. */
const backlog = 4096;
const meter = new Meter();

serveCalls({
  async listen(order: TargetOrder): Promise<TcpAddress> {
    const { kind } = order;
    const server =
      kind === 'https' ? createLoadTarget('http', meter, order) : createLoadTarget(kind, meter);
    server.listen({ host: '127.0.0.1', port: 0, backlog });
    await once(server, 'listening');
    return { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
  },
  begin: () => meter.begin(),
  end: () => meter.end(),
});
