/** SIGKILL to an agent or a server: its streams end, clients get an error, and the service recovers. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { eventually, startEchoTarget } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import {
  authority,
  type Client,
  clientKinds,
  echoLine,
  openClient,
  untilEnded,
} from './clients.ts';
import {
  connectAgent,
  linesOf,
  loopback,
  type RunningServer,
  startServer,
  transports,
  untilAgentsConnected,
} from './fixture.ts';

/** No PING times out within this test, so only the end of the connection shows a dead peer. */
const noPing = { 'ping-interval': '10m' };

let server = await startServer(t, noPing);

async function restartServer(): Promise<void> {
  server = await startServer(t, noPing, server);
}

async function openClients(t: Test, server: RunningServer): Promise<Client[]> {
  return Promise.all(clientKinds.map((kind) => openClient[kind](t, server)));
}

async function openStreams(clients: readonly Client[], target: string): Promise<Duplex[]> {
  const streams = await Promise.all(clients.map((client) => client.open(target)));
  for (const stream of streams) await echoLine(stream, 'before\n');
  return streams;
}

/** An echo target, and its connections in the order of their arrival. */
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

for (const transport of transports) {
  t.test(`streams of a killed agent end, and its successor serves, ${transport}`, async (t) => {
    const agent = await connectAgent(t, server, { transport, ...noPing });
    const echo = await startEchoTarget();
    t.teardown(() => echo.close());
    const clients = await openClients(t, server);
    const streams = await openStreams(clients, authority(echo));

    const connections = linesOf(server.process, 'agent connected').length;
    agent.process.kill('SIGKILL');
    await Promise.all(streams.map(untilEnded));
    t.pass("the agent's streams end");
    for (const client of clients) {
      const { status, code } = await client.ask(authority(echo));
      t.equal(status, 503);
      t.equal(code, 'no_agent');
    }
    await eventually('the server logs that the agent has disconnected', () => {
      return linesOf(server.process, 'agent disconnected').length === connections;
    });

    await connectAgent(t, server, { transport, ...noPing });
    await openStreams(clients, authority(echo));
    t.pass('the same clients are served');
  });

  t.test(`streams of a killed server end, and its agents reconnect, ${transport}`, async (t) => {
    const agent = await connectAgent(t, server, { transport, ...noPing });
    const { target, connections } = await startWatchedEcho(t);
    const streams = await openStreams(await openClients(t, server), target);
    t.equal(connections.length, clientKinds.length);

    server.process.kill('SIGKILL');
    await Promise.all(streams.map(untilEnded));
    t.pass("the server's streams end");
    await Promise.all(connections.map(untilEnded));
    t.pass("the targets' connections are closed");
    await agent.process.waitForLog('disconnected');

    await restartServer();
    await untilAgentsConnected(server);
    await openStreams(await openClients(t, server), target);
    t.pass('the agent reconnects without a restart');
    t.equal(linesOf(agent.process, 'connected').length, 2);
    await agent.process.close();
    await server.process.waitForLog('agent disconnected');
  });
}
