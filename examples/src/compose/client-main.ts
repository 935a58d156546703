/**
 * The client of docker-compose.yml: what kube-apiserver does with a tunnel, tried and checked.
 * Exit code 0 if all went as it should, 1 if not, 2 for bad usage.
 */

import { copy } from './client/copy.ts';
import { exec } from './client/exec.ts';
import { get } from './client/get.ts';
import { logs } from './client/logs.ts';
import { checkApart, checkReached } from './client/reach.ts';
import { readNetwork } from './network.ts';
import { ServerPool } from './server-pool.ts';

const usage = `usage: client COMMAND
  get [NODE]           one request to the node's kubelet, and one to its pod
  logs [NODE]          follows a log, as kubectl logs -f does: no line may be held back
  exec [NODE]          a session with an echo, as kubectl exec does: each key must come back
  copy [NODE [MIB]]    256 MiB each way, as kubectl cp does, with a session beside it
  all                  the four of them, on every node
  apart [HOST:PORT...] that nothing answers if dialed without the tunnel; the targets if none is named
  reach HOST:PORT...   that all of these answer if dialed without the tunnel
`;

class UsageError extends Error {}

async function run([command, ...args]: readonly string[]): Promise<void> {
  if (command === 'reach') return checkReached(args);
  const network = readNetwork();
  const { nodes } = network;
  const servers = new ServerPool(network.servers);
  if (command === 'apart') return checkApart(args, network);
  const node = args[0] === undefined ? nodes[0]! : nodes.find(({ name }) => name === args[0]);
  if (!node) {
    throw new UsageError(
      `there is no ${args[0]}; it is ${nodes.map(({ name }) => name).join(', ')}`,
    );
  }
  const mebibytes = Number(args[1] ?? 256);
  if (!Number.isInteger(mebibytes) || mebibytes < 1) throw new UsageError(`${args[1]}: no MiB`);
  switch (command) {
    case 'get':
      return get(servers, node);
    case 'logs':
      return logs(servers, node);
    case 'exec':
      return exec(servers, node);
    case 'copy':
      return copy(servers, node, mebibytes);
    case 'all':
      for (const each of nodes) {
        await get(servers, each);
        await logs(servers, each);
        await exec(servers, each);
        await copy(servers, each, mebibytes);
      }
      return;
    default:
      throw new UsageError(command === undefined ? 'no command' : `there is no command ${command}`);
  }
}

// As process 1 of a container, nothing else would end it.
process.once('SIGTERM', () => process.exit(143));
process.once('SIGINT', () => process.exit(130));
try {
  await run(process.argv.slice(2));
} catch (error) {
  const isUsage = error instanceof UsageError;
  console.error(`${isUsage ? '' : 'FAILED: '}${error instanceof Error ? error.message : error}`);
  if (isUsage) console.error(usage);
  process.exit(isUsage ? 2 : 1);
}
// The resolver may go on looking for a name that nothing waits for any more.
process.exit();
