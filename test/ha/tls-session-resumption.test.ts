import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { loopback, metric, startAgent, startServer, type TestServer } from '../support/fleet.ts';
import { usePacedTime } from '../support/paced-time.ts';

const handshakes = async (server: TestServer) => {
  const count = (resumed: boolean) =>
    metric(server, `fairlead_server_agent_handshakes_total{resumed="${resumed}"}`);
  return { full: await count(false), resumed: await count(true) };
};

const secret = () => randomBytes(48).toString('hex');

/** A server replaces another one at the same address. */
t.test('an agent resumes its TLS session on another server with the same ticket key', async (t) => {
  const directory = t.testdir({ same: `${secret()}\n`, other: secret() });
  const key = (name: string) => ({ tlsTicketKeyFile: join(directory, name) });
  const first = await startServer(t, { serverId: 'a', ...key('same') });
  const { agentPort } = first;
  await startAgent(t, agentPort, { agentId: 'x' });
  await first.log.line('agent connected');
  t.strictSame(await handshakes(first), { full: 1, resumed: 0 });

  await first.server.close();
  // A newline at the end of the key file makes no difference.
  const second = await startServer(t, { serverId: 'b', ...key('same'), agentPort });
  t.match(await second.log.line('agent connected'), { agent: 'x', commonName: 'agent-agent' });
  t.strictSame(await handshakes(second), { full: 0, resumed: 1 });

  await second.server.close();
  const third = await startServer(t, { serverId: 'c', ...key('other'), agentPort });
  await third.log.line('agent connected');
  t.strictSame(await handshakes(third), { full: 1, resumed: 0 });
});

t.test('an agent offers the ticket of one server to its peer at another address', async (t) => {
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

t.test('reloads a changed ticket key, and ignores an invalid one', async (t) => {
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
  t.strictSame(server.agentIds(), ['x'], 'open tunnels stay up');
});

t.test('200 agents reconnect to a new server without a full handshake', async (t) => {
  usePacedTime(t);
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
  t.comment(`${count} agents reconnected after ${Math.round(performance.now() - startedAtMs)} ms`);
  t.strictSame(await handshakes(second), { full: 0, resumed: count }, 'each handshake is resumed');
  t.equal(second.log.of('agent disconnected').length, 0);
});
