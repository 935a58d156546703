import { randomUUID } from 'node:crypto';
import { kinds, optionsIn } from '@fairlead/runtime/options';
import { UsageError } from '@fairlead/runtime/process';
import type { ServerOptions } from '../options.ts';

const option = optionsIn('Routing');

export const routingOptions = {
  'server-id': option(kinds.identifier, {
    description: 'Name of this server for agents; must be unique among the servers',
    makeDefault: randomUUID,
    defaultText: 'a random UUID',
    env: ['PROXY_SERVER_ID'],
  }),
  'server-count': option(kinds.integer(1, 10_000), {
    description:
      'Number of servers to which each agent connects; with --enable-lease-controller, used until the Leases are known',
    default: 1,
  }),
  'proxy-strategies': option(
    kinds.list(kinds.oneOf('destHost', 'destCIDR', 'defaultRoute', 'default')),
    {
      description:
        'How the server picks an agent for a target: by the first of these strategies that finds one',
      default: ['default'],
    },
  ),
  'advertise-agent-address': option(kinds.hostPort, {
    description:
      "This server's address for agents, which it announces to them and, with --enable-lease-controller, in its Lease. With --workers, agents get its host with the port of each worker (--worker-agent-port)",
  }),
  'peers-file': option(kinds.filePath, {
    description:
      'YAML or JSON list of HOST:PORT, one per server, which agents connect to; reloaded when it changes',
  }),
};

export function checkStrategies(options: ServerOptions): void {
  if (options.proxyStrategies.length === 0) {
    throw new UsageError('--proxy-strategies is empty: give at least "default"');
  }
}
