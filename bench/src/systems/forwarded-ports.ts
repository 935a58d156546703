import type { Route, TcpAddress } from '@fairlead/client';
import { findFreePorts } from '../process/free-ports.ts';
import type { TargetKind } from '../targets/target-kind.ts';
import { type SystemContext, targetAddress } from './system.ts';

interface ForwardedPort {
  readonly kind: TargetKind;
  readonly port: number;
  readonly target: TcpAddress;
}

export interface ForwardedPorts {
  /** One loopback port on the server's side for each target. */
  readonly ports: readonly ForwardedPort[];
  /** The port of the tunnel's listener. */
  readonly tunnelPort: number;
  route(kind: TargetKind): Route;
}

/** Ports for a peer whose configuration lists each TCP port that it forwards. */
export async function forwardedPorts(context: SystemContext): Promise<ForwardedPorts> {
  const [tunnelPort = 0, ...free] = await findFreePorts(context.targets.size + 1);
  const ports = [...context.targets].map(([kind, target], i) => ({ kind, target, port: free[i]! }));
  return {
    ports,
    tunnelPort,
    route(wanted) {
      const target = targetAddress(context, wanted);
      const { port } = ports.find(({ kind }) => kind === wanted)!;
      return { by: 'forward', address: { host: '127.0.0.1', port }, target };
    },
  };
}
