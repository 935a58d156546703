import type { NodeTargets } from '../network.ts';
import type { ServerPool } from '../server-pool.ts';
import { describeTimes, EchoSession } from './echo-session.ts';

const keys = 'for node in $(cat nodes); do echo "$node"; done\n'.repeat(4);

/** Sends keys to an echo session, one after the other. */
export async function exec(servers: ServerPool, node: NodeTargets): Promise<void> {
  const session = await EchoSession.open(servers, node);
  const timesMs: number[] = [];
  try {
    for (const key of keys) timesMs.push(await session.send(key));
  } finally {
    session.close();
  }
  console.log(
    `exec  ${node.name} by ${session.server}: ${timesMs.length} keys, each came back: ${describeTimes(timesMs)}`,
  );
}
