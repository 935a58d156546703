/** kill -9: streams that hang, clients that are told nothing, and a service that does not come back. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { startEchoTarget } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import {
  agentsJoined,
  linesOf,
  loopback,
  type RunningServer,
  startAgent,
  startServer,
  startService,
  transports,
} from './fixture.ts';
import { authority, type Client, echoLine, gone, wayNames, waysIn } from './ways-in.ts';

/** On a machine that is busy with other tests. */
const atOnceMs = 1_000;

async function openClients(t: Test, server: RunningServer): Promise<Client[]> {
  return Promise.all(wayNames.map((way) => waysIn[way](t, server)));
}

async function openStreams(clients: readonly Client[], target: string): Promise<Duplex[]> {
  const streams = await Promise.all(clients.map((client) => client.open(target)));
  for (const stream of streams) await echoLine(stream, 'before\n');
  return streams;
}

/** An echo target, and its connections in the order in which they came. */
async function startWatchedEcho(t: Test): Promise<{ target: string; connections: Socket[] }> {
  const connections: Socket[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => {});
    connections.push(socket.pipe(socket));
  });
  server.listen(0, loopback);
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    for (const socket of connections) socket.destroy();
  });
  return { target: `${loopback}:${(server.address() as AddressInfo).port}`, connections };
}

/** How long it took until all have ended. */
async function allGoneMs(streams: readonly Duplex[]): Promise<number> {
  const startedAtMs = performance.now();
  await Promise.all(streams.map(gone));
  return performance.now() - startedAtMs;
}

for (const transport of transports) {
  t.test(`the agent is killed, ${transport}`, async (t) => {
    const { server, agent } = await startService(t, { agent: { transport } });
    const echo = await startEchoTarget();
    t.teardown(() => echo.close());
    const clients = await openClients(t, server);
    const streams = await openStreams(clients, authority(echo));

    agent.process.kill('SIGKILL');
    const goneMs = await allGoneMs(streams);
    t.ok(goneMs < atOnceMs, `its streams end at once: ${goneMs} ms`);
    for (const client of clients) {
      const { status, code } = await client.ask(authority(echo));
      t.equal(status, 503);
      t.equal(code, 'no_agent');
    }
    await server.process.waitForLog('agent disconnected');

    await startAgent(t, server.agentPort, { transport });
    await agentsJoined(server, 2);
    await openStreams(clients, authority(echo));
    t.pass('the same clients are served again');
  });

  t.test(`the server is killed, ${transport}`, async (t) => {
    const { server, agent } = await startService(t, { agent: { transport } });
    const { target, connections } = await startWatchedEcho(t);
    const streams = await openStreams(await openClients(t, server), target);
    t.equal(connections.length, wayNames.length);

    server.process.kill('SIGKILL');
    const goneMs = await allGoneMs(streams);
    t.ok(goneMs < atOnceMs, `its streams end at once: ${goneMs} ms`);
    await Promise.all(connections.map(gone));
    t.pass('the targets are let go');
    await agent.process.waitForLog('disconnected');

    const restarted = await startServer(t, {}, server);
    await agentsJoined(restarted);
    await openStreams(await openClients(t, restarted), target);
    t.pass('the agent came back by itself');
    t.equal(linesOf(agent.process, 'connected').length, 2);
  });
}
