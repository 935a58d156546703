/** Names of targets that resolve slowly: each occupies a thread of the agent. */
import { readdirSync } from 'node:fs';
import { startEchoTarget } from '@fairlead/testkit';
import t from 'tap';
import { echoLine, openClient } from './clients.ts';
import { startService } from './fixture.ts';

t.test('an agent has threads for many names at once', async (t) => {
  const { server, agent } = await startService(t);
  const target = await startEchoTarget();
  t.teardown(() => target.close());
  const client = await openClient['HTTP/1.1 over the UDS'](t, server);
  await echoLine(await client.open(`localhost:${target.port}`), 'by name\n');
  const threads = readdirSync(`/proc/${agent.process.pid}/task`);
  t.ok(threads.length > 64, `libuv's pool has 64 of ${threads.length} threads`);
});
