/** A server whose Unix domain socket vanishes from its path while it runs. */
import { existsSync } from 'node:fs';
import { rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { eventually, startEchoTarget } from '@fairlead/testkit';
import t from 'tap';
import { authority, echoLine, http1Client } from './clients.ts';
import { linesOf, loopback, type RunningServer, startService } from './fixture.ts';

const server = { 'agents-settle-time': '0s', 'reload-interval': '100ms' };

async function readiness({ healthPort }: RunningServer): Promise<string> {
  const reply = await fetch(`http://${loopback}:${healthPort}/readyz`);
  return `${reply.status} ${(await reply.text()).trim()}`;
}

function untilReady(server: RunningServer): Promise<unknown> {
  return eventually('the server is ready', async () => (await readiness(server)).startsWith('200'));
}

t.test('makes its socket again', async (t) => {
  const service = await startService(t, { server });
  await untilReady(service.server);
  const { path } = service.server.uds;
  await unlink(path);
  await eventually('the socket is there again', () => existsSync(path));
  const echo = await startEchoTarget();
  t.teardown(() => echo.close());
  await echoLine(await http1Client(t, service.server.uds).open(authority(echo)), 'back again\n');
  await untilReady(service.server);
  t.equal(service.server.process.logs.filter(({ msg }) => /was made again/.test(msg)).length, 1);
});

for (const [name, workers] of [
  ['one process', '1'],
  ['two workers', '2'],
] as const) {
  t.test(`${name}: is not ready while clients cannot reach its socket`, async (t) => {
    const service = await startService(t, { server: { ...server, workers } });
    await untilReady(service.server);
    const directory = dirname(service.server.uds.path);
    await rename(directory, `${directory}-away`);
    const answer = await eventually('the server is not ready', async () => {
      const answer = await readiness(service.server);
      return answer.startsWith('200') ? undefined : answer;
    });
    t.match(answer, /^500 .*--uds-name .*(directory does not exist|restart the server)/s);
    await rename(`${directory}-away`, directory);
    await untilReady(service.server);
    t.equal(linesOf(service.server.process, 'clients cannot reach the socket').length, 1);
  });
}
