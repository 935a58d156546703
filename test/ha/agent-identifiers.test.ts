import { connectTls } from '@fairlead/agent/internal';
import { Session } from '@fairlead/protocol';
import { sharedTestPki, startEchoTarget } from '@fairlead/testkit';
import t from 'tap';
import { loopback, metric, startServer } from '../support/fleet.ts';
import { openStream } from './requests.ts';

t.test('routes by the new identifiers after an agent changes them', async (t) => {
  const target = await startEchoTarget();
  t.teardown(() => target.close());
  const server = await startServer(t, { serverId: 'a', proxyStrategies: ['destHost', 'destCIDR'] });
  const { agent } = await sharedTestPki();
  const { cert, key } = agent.client;
  const transport = await connectTls(
    { host: loopback, port: server.agentPort },
    { ca: agent.ca, cert, key },
    { timeoutMs: 10_000 },
  );
  let opened = 0;
  const session = new Session(
    transport,
    {
      onHello: () => {},
      onOpen: (stream) => {
        opened++;
        stream.accept();
      },
      onDraining: () => {},
      onClose: () => {},
    },
    { role: 'agent', hello: { agentId: 'x', agentIdentifiers: 'host=elsewhere&ipv4=$(HOST_IP)' } },
  ).start();
  t.teardown(() => session.close());
  t.match(await server.log.line('agent identifiers that cannot be read never match'), {
    agent: 'x',
    warnings: ['ipv4=$(HOST_IP) is not an IP address'],
  });
  const statusOf = async () => {
    const { status, socket } = await openStream(server, target);
    socket.destroy();
    return status;
  };
  t.equal(await statusOf(), 503);
  for (const [agentIdentifiers, status] of [
    ['cidr=127.0.0.0/8', 200],
    ['cidr=10.0.0.0/8', 503],
    ['ipv6=::ffff:127.0.0.1', 200],
  ] as const) {
    const changes = server.log.of('agent identifiers changed').length;
    session.updateHello({ agentIdentifiers });
    await server.log.lineAfter(changes, 'agent identifiers changed');
    t.equal(await statusOf(), status, agentIdentifiers);
  }
  t.equal(opened, 2);
  const backends = (strategy: string) =>
    metric(
      server,
      `konnectivity_network_proxy_server_ready_backends{proxy_strategy="${strategy}"}`,
    );
  t.strictSame([await backends('destHost'), await backends('destCIDR')], [1, 0]);
});
