import type { TcpAddress } from '@fairlead/client';
import type { TargetKind } from '../targets/target-kind.ts';
import type { System, SystemContext } from './system.ts';

/** No tunnel: what the load generator and the targets can do at most. */
export const direct: System = {
  name: 'direct',
  about: 'plain TCP from the client to the target, no tunnel and no encryption',
  isNode: false,
  isMultiplexed: false,
  missing: () => undefined,
  version: async () => undefined,
  async start(context: SystemContext) {
    const addresses = new Map<TargetKind, TcpAddress>();
    for (const [kind, address] of context.targets) {
      addresses.set(kind, await context.through(address));
    }
    return {
      processes: [],
      route(kind) {
        const address = addresses.get(kind);
        if (!address) throw new Error(`this measure has no ${kind} target`);
        return { by: 'forward', address, target: address };
      },
      async close() {},
    };
  },
};
