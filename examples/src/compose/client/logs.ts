import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { createInterface } from 'node:readline';
import { connectToTarget } from '../../target-connection.ts';
import type { NodeTargets } from '../network.ts';
import type { ServerPool } from '../server-pool.ts';
import { check } from './check.ts';

const lines = 10;
const intervalMs = 200;

/** Follows a log of the node's kubelet. */
export async function logs(servers: ServerPool, node: NodeTargets): Promise<void> {
  const { server, value } = await servers.through((via) => connectToTarget(via, node.kubelet));
  const get = request({
    path: `/containerLogs/default/web-0/web?lines=${lines}&intervalMs=${intervalMs}`,
    headers: { host: node.name, connection: 'close' },
    createConnection: () => value.socket,
  });
  get.end();
  const [response] = (await once(get, 'response')) as [IncomingMessage];
  const arrivals: number[] = [];
  for await (const line of createInterface({ input: response })) {
    arrivals.push(performance.now());
    console.log(`logs  ${node.name} by ${server}: ${line}`);
  }
  check(response.complete, 'the log ended early');
  check(arrivals.length === lines, `${arrivals.length} lines came instead of ${lines}`);
  // The kubelet writes the lines over 1.8 s. Buffered lines would arrive together.
  const spreadMs = arrivals.at(-1)! - arrivals[0]!;
  const leastMs = ((lines - 1) * intervalMs) / 2;
  check(
    spreadMs >= leastMs,
    `all lines arrived within ${spreadMs.toFixed(0)} ms, so they were buffered`,
  );
  console.log(`logs  ${lines} lines, spread over ${spreadMs.toFixed(0)} ms as they were written`);
}
