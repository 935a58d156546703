import { HELLO_LIMITS } from '@fairlead/protocol';
import { kinds, optionsIn } from '@fairlead/runtime/options';
import { UsageError } from '@fairlead/runtime/process';
import type { ServerOptions } from '../options.ts';

const option = optionsIn('Workers (several processes that share the ports)');

export const workerOptions = {
  workers: option(kinds.integer(1, HELLO_LIMITS.peers), {
    description:
      'Number of processes that serve the ports. To agents, each is a separate server, named by --server-id and its number. Limits apply to each worker, --max-process-window to all workers together',
    default: 1,
  }),
  'worker-agent-port': option(kinds.listenPort, {
    description:
      'Port for agents of the first worker alone; each further worker uses the next port. Used only with --advertise-agent-address; 0 lets the system pick the ports',
    default: 0,
  }),
  'worker-timeout': option(kinds.duration({ minMs: 500 }), {
    description: 'A worker that does not respond for this long is killed and replaced',
    default: 10_000,
  }),
};

/** The name of a worker as a server, for agents. @param worker from 1 */
export function workerServerId(serverId: string, worker: number): string {
  return `${serverId}-${worker}`;
}

/** The port for agents of each worker alone, in the order of workers; none without --advertise-agent-address. */
export function workerAgentPorts(options: ServerOptions) {
  const { workers: count, workerAgentPort, agentBindAddress: address } = options;
  if (count === 1 || options.advertiseAgentAddress === undefined) return [];
  return Array.from({ length: count }, (_, index) => ({
    name: 'worker-agent-port',
    port: workerAgentPort === 0 ? 0 : workerAgentPort + index,
    address,
  }));
}

/** @throws UsageError if HELLO cannot carry the workers' names or number, or their ports do not exist */
export function checkWorkers(options: ServerOptions): void {
  const { workers: count, serverId, serverCount } = options;
  if (count === 1) return;
  if (workerServerId(serverId, count).length > HELLO_LIMITS.idChars) {
    throw new UsageError('--server-id is too long for --workers, which add their numbers to it');
  }
  if (serverCount * count > HELLO_LIMITS.servers) {
    throw new UsageError(
      `--server-count times --workers is above ${HELLO_LIMITS.servers}, the maximum that agents can receive`,
    );
  }
  if (workerAgentPorts(options).some(({ port }) => port > 65_535)) {
    throw new UsageError(`--worker-agent-port and the ${count - 1} ports above end beyond 65535`);
  }
}
