import { randomBytes } from 'node:crypto';
import { startEchoTarget } from '@fairlead/testkit';
import t from 'tap';
import { startAgent, startServer } from '../support/fleet.ts';
import { openStream } from './requests.ts';

t.test('two agents with the same ID each serve their own targets', async (t) => {
  const targets = await Promise.all(
    ['127.0.1.1', '127.0.1.2'].map((host) => startEchoTarget({ host })),
  );
  t.teardown(() => Promise.all(targets.map((target) => target.close())));
  const server = await startServer(t, { serverId: 'a', proxyStrategies: ['destHost'] });
  const agents = await Promise.all(
    targets.map(({ host }) =>
      startAgent(t, server.agentPort, { agentId: 'same', agentIdentifiers: `ipv4=${host}` }),
    ),
  );
  await server.untilAgents(2);

  // Stream IDs are per tunnel, so streams of both agents have the same IDs.
  const outcomes = await Promise.all(
    Array.from({ length: 40 }, async (_, index) => {
      const { socket } = await openStream(server, targets[index % 2]!);
      const sent = randomBytes(200_000);
      socket.end(sent);
      return Buffer.concat(await socket.toArray()).equals(sent);
    }),
  );
  t.strictSame(outcomes, new Array(40).fill(true));
  t.strictSame(
    targets.map(({ connections }) => connections),
    [20, 20],
    'each target is dialed by the agent that serves it',
  );

  const [first, second] = await Promise.all(targets.map((target) => openStream(server, target)));
  const cut = first!.socket.toArray().catch(() => 'cut');
  await agents[0]!.agent.close();
  await cut;
  second!.socket.end('alive');
  t.equal(Buffer.concat(await second!.socket.toArray()).toString(), 'alive');
  const refused = await openStream(server, targets[0]!);
  t.equal(refused.status, 503, 'the other agent does not serve the target of the agent that ended');
  refused.socket.destroy();
  const served = await openStream(server, targets[1]!);
  t.equal(served.status, 200);
  served.socket.destroy();
});
