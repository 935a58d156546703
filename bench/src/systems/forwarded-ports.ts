import type { Route, TcpAddress } from '@fairlead/client';
import { findFreePorts } from '../process/free-ports.ts';
import type { TargetKind } from '../targets/target-kind.ts';
import type { SystemContext } from './system.ts';

interface ForwardedPort {
  readonly kind: TargetKind;
  readonly port: number;
  readonly target: TcpAddress;
}

export interface ForwardedPorts {
  /** One loopback port per target, on the server's side. */
  readonly ports: readonly ForwardedPort[];
  /** One more, for the tunnel itself. */
  readonly tunnelPort: number;
  route(kind: TargetKind): Route;
}

/** Ports for a peer that forwards TCP ports and must be told each of them. */
export async function forwardedPorts({ targets }: SystemContext): Promise<ForwardedPorts> {
  const [tunnelPort = 0, ...free] = await findFreePorts(targets.size + 1);
  const ports = [...targets].map(([kind, target], i) => ({ kind, target, port: free[i]! }));
  return {
    ports,
    tunnelPort,
    route(wanted) {
      const found = ports.find(({ kind }) => kind === wanted);
      if (!found) throw new Error(`this measure has no ${wanted} target`);
      const { port, target } = found;
      return { by: 'forward', address: { host: '127.0.0.1', port }, target };
    },
  };
}
