/** kill -9: streams that hang, clients that are told nothing, and a service that does not come back. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { eventually, startEchoTarget } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { authority, type Client, echoLine, gone, wayNames, waysIn } from './clients.ts';
import {
  agentsJoined,
  joinAgent,
  linesOf,
  loopback,
  type RunningServer,
  startServer,
  transports,
} from './fixture.ts';

/** No PING finds a dead peer within this test: only the end of the connection tells. */
const noPing = { 'ping-interval': '10m' };

let server = await startServer(t, noPing);

async function restartServer(): Promise<void> {
  server = await startServer(t, noPing, server);
}

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

for (const transport of transports) {
  t.test(`the agent is killed, ${transport}`, async (t) => {
    const agent = await joinAgent(t, server, { transport, ...noPing });
    const echo = await startEchoTarget();
    t.teardown(() => echo.close());
    const clients = await openClients(t, server);
    const streams = await openStreams(clients, authority(echo));

    const joined = linesOf(server.process, 'agent connected').length;
    agent.process.kill('SIGKILL');
    await Promise.all(streams.map(gone));
    t.pass('its streams end with its connection');
    for (const client of clients) {
      const { status, code } = await client.ask(authority(echo));
      t.equal(status, 503);
      t.equal(code, 'no_agent');
    }
    await eventually('the server logs the end of the agent', () => {
      return linesOf(server.process, 'agent disconnected').length === joined;
    });

    await joinAgent(t, server, { transport, ...noPing });
    await openStreams(clients, authority(echo));
    t.pass('the same clients are served again');
  });

  t.test(`the server is killed, ${transport}`, async (t) => {
    const agent = await joinAgent(t, server, { transport, ...noPing });
    const { target, connections } = await startWatchedEcho(t);
    const streams = await openStreams(await openClients(t, server), target);
    t.equal(connections.length, wayNames.length);

    server.process.kill('SIGKILL');
    await Promise.all(streams.map(gone));
    t.pass('its streams end with its connection');
    await Promise.all(connections.map(gone));
    t.pass("the targets' connections are closed");
    await agent.process.waitForLog('disconnected');

    await restartServer();
    await agentsJoined(server);
    await openStreams(await openClients(t, server), target);
    t.pass('the agent came back by itself');
    t.equal(linesOf(agent.process, 'connected').length, 2);
    await agent.process.close();
    await server.process.waitForLog('agent disconnected');
  });
}
