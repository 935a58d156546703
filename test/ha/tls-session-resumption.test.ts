import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { loopback, metric, startAgent, startServer, type TestServer } from '../support/fleet.ts';
import { passTime } from '../support/paced-time.ts';

const handshakes = async (server: TestServer) => {
  const count = (resumed: boolean) =>
    metric(server, `fairlead_server_agent_handshakes_total{resumed="${resumed}"}`);
  return { full: await count(false), resumed: await count(true) };
};

const secret = () => randomBytes(48).toString('hex');

/** An agent that loses its server and is taken over by another one at the same address. */
t.test('a session begun on one server is resumed on another of the same key', async (t) => {
  const directory = t.testdir({ same: `${secret()}\n`, other: secret() });
  const key = (name: string) => ({ tlsTicketKeyFile: join(directory, name) });
  const first = await startServer(t, { serverId: 'a', ...key('same') });
  const { agentPort } = first;
  await startAgent(t, agentPort, { agentId: 'x' });
  await first.log.line('agent connected');
  t.strictSame(await handshakes(first), { full: 1, resumed: 0 });

  await first.server.close();
  // The line end that an editor adds makes no difference.
  const second = await startServer(t, { serverId: 'b', ...key('same'), agentPort });
  t.match(await second.log.line('agent connected'), { agent: 'x', commonName: 'agent-agent' });
  t.strictSame(await handshakes(second), { full: 0, resumed: 1 });

  await second.server.close();
  const third = await startServer(t, { serverId: 'c', ...key('other'), agentPort });
  await third.log.line('agent connected');
  t.strictSame(await handshakes(third), { full: 1, resumed: 0 });
});

t.test('a ticket of one server is offered to its peer at another address', async (t) => {
  const tlsTicketKeyFile = join(t.testdir({ key: secret() }), 'key');
  const a = await startServer(t, { serverId: 'a', tlsTicketKeyFile });
  const b = await startServer(t, {
    serverId: 'b',
    tlsTicketKeyFile,
    agentPort: a.agentPort,
    agentBindAddress: '127.0.0.2',
  });
  const addresses = [loopback];
  await startAgent(
    t,
    a.agentPort,
    { agentId: 'x', proxyServerHost: ['localhost'], resolveInterval: 20 },
    async () => addresses.map((address) => ({ address, family: 4 })),
  );
  await a.log.line('agent connected');
  addresses.push('127.0.0.2');
  await b.log.line('agent connected');
  t.strictSame(
    [await handshakes(a), await handshakes(b)],
    [
      { full: 1, resumed: 0 },
      { full: 0, resumed: 1 },
    ],
  );
});

t.test('a key that changes is used without a restart; a bad one is not', async (t) => {
  const path = join(t.testdir({ key: secret() }), 'key');
  const server = await startServer(t, { serverId: 'a', tlsTicketKeyFile: path });
  await startAgent(t, server.agentPort, { agentId: 'x' });
  await server.log.line('agent connected');
  writeFileSync(path, 'too short');
  t.match(await server.log.line('new files are invalid, the previous ones stay in use'), {
    detail: `--tls-ticket-key-file: ${path}: the secret has 9 bytes, it needs at least 32. Create one with: openssl rand -hex 48`,
  });
  writeFileSync(path, secret());
  t.match(await server.log.line('reloaded'), { files: 'agent-port certificates' });
  t.strictSame(server.agentIds(), ['x'], 'open tunnels go on');
});

t.test('200 agents lose a server and come back', async (t) => {
  passTime(t);
  const count = 200;
  const tlsTicketKeyFile = join(t.testdir({ key: secret() }), 'key');
  const first = await startServer(t, { serverId: 'a', tlsTicketKeyFile });
  const { agentPort } = first;
  await Promise.all(
    Array.from({ length: count }, (_, index) =>
      startAgent(t, agentPort, {
        agentId: `agent-${index}`,
        reconnectMin: 500,
        reconnectMax: 30_000,
      }),
    ),
  );
  await first.untilAgents(count);
  t.equal((await handshakes(first)).full, count);

  await first.server.close();
  const startedAtMs = performance.now();
  const second = await startServer(t, { serverId: 'b', tlsTicketKeyFile, agentPort });
  await second.untilAgents(count);
  t.comment(`${count} agents were back after ${Math.round(performance.now() - startedAtMs)} ms`);
  t.strictSame(await handshakes(second), { full: 0, resumed: count }, 'each by its ticket');
  t.equal(second.log.of('agent disconnected').length, 0);
});
