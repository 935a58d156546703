import type { TcpAddress } from '@fairlead/client';
import type { TargetKind } from '../targets/target-kind.ts';
import { type System, type SystemContext, targetAddress } from './system.ts';

/** No tunnel: the upper limit of the load generators and targets. */
export const direct: System = {
  name: 'direct',
  about: 'plain TCP from the client to the target, without tunnel and encryption',
  isNode: false,
  isMultiplexed: false,
  missing: () => undefined,
  version: async () => undefined,
  async start(context: SystemContext) {
    const targets = new Map<TargetKind, TcpAddress>();
    for (const [kind, address] of context.targets) {
      targets.set(kind, await context.through(address));
    }
    return {
      processes: [],
      route(kind) {
        const address = targetAddress({ targets }, kind);
        return { by: 'forward', address, target: address };
      },
      async close() {},
    };
  },
};
