/**
 * The client of docker-compose.yml: does what kube-apiserver does with a tunnel, and checks the results.
 * Exit codes: 0 for success, 1 for a failed check, 2 for invalid usage.
 */
import { copy } from './client/copy.ts';
import { exec } from './client/exec.ts';
import { get } from './client/get.ts';
import { logs } from './client/logs.ts';
import { checkApart, checkReached } from './client/reach.ts';
import { readNetwork } from './network.ts';
import { ServerPool } from './server-pool.ts';

const usage = `usage: client COMMAND
  get [NODE]           sends a request to the node's kubelet, and one to its pod
  logs [NODE]          follows a log like kubectl logs -f; checks that each line arrives at once
  exec [NODE]          opens an echo session like kubectl exec; checks that each key comes back
  copy [NODE [MIB]]    copies 256 MiB each way like kubectl cp, during an echo session
  all                  runs these four commands on every node
  apart [HOST:PORT...] checks that these addresses (default: all targets) do not answer without the tunnel
  reach HOST:PORT...   checks that these addresses answer without the tunnel
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
      `unknown node ${args[0]}. Use one of ${nodes.map(({ name }) => name).join(', ')}.`,
    );
  }
  const mebibytes = Number(args[1] ?? 256);
  if (!Number.isInteger(mebibytes) || mebibytes < 1) {
    throw new UsageError(`${args[1]}: not a number of MiB. Use 1 or more.`);
  }
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
      throw new UsageError(command === undefined ? 'no command' : `unknown command ${command}`);
  }
}

// Process 1 of a container has no default signal handlers.
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
// A pending name lookup would keep the process alive.
process.exit();
