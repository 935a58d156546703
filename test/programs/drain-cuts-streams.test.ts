/** SIGTERM that cuts a stream, loses its last bytes, lets new ones in, or does not end the process. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { seededReadable, seededSha256, startEchoTarget } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import {
  agentsJoined,
  linesOf,
  loopback,
  type Service,
  startAgent,
  startService,
  transports,
} from './fixture.ts';
import { authority, gone, http1Client, http2Client, readBytes, readRest } from './ways-in.ts';

const answerBytes = 32 * 1024 ** 2;

/** A target that answers when the test says so. */
interface HeldTarget {
  readonly target: string;
  nextConnection(): Promise<Socket>;
}

/** Both ends of a stream. */
interface Held {
  readonly stream: Duplex;
  /** The target's. */
  readonly socket: Socket;
}

async function startHeldTarget(t: Test): Promise<HeldTarget> {
  const connections: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    connections.push(socket);
  });
  server.listen(0, loopback);
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    for (const socket of connections) socket.destroy();
  });
  const { port } = server.address() as AddressInfo;
  const nextConnection = async () => (await once(server, 'connection'))[0] as Socket;
  return { target: `${loopback}:${port}`, nextConnection };
}

/** Opens a stream and exchanges a line each way. */
async function openUsed(t: Test, { server }: Service, target: HeldTarget): Promise<Held> {
  const [stream, socket] = await Promise.all([
    http1Client(t, server.tcp).open(target.target),
    target.nextConnection(),
  ]);
  stream.write('ask\n');
  await readBytes(socket, 4);
  socket.write('wait\n');
  await readBytes(stream, 5);
  return { stream, socket };
}

/** The stream goes on in both directions, much follows, and it ends with all of it. */
async function checkFinishes(t: Test, { stream, socket }: Held): Promise<void> {
  stream.write('more\n');
  t.equal(String(await readBytes(socket, 5)), 'more\n', 'the stream goes on');
  seededReadable('answer', answerBytes).pipe(socket);
  stream.end();
  const wanted = { bytes: answerBytes, sha256: seededSha256('answer', answerBytes) };
  t.same(await readRest(stream), wanted, 'and finishes with its last byte');
}

for (const transport of transports) {
  t.test(`SIGTERM to the server, ${transport}`, async (t) => {
    const service = await startService(t, { agent: { transport } });
    const { server, agent } = service;
    const held = await startHeldTarget(t);
    const idle = await http2Client(t, server.tcp);
    const open = await openUsed(t, service, held);

    server.process.kill('SIGTERM');
    await server.process.waitForLog('draining');
    await t.rejects(http1Client(t, server.uds).ask(held.target), 'no new connection over the UDS');
    await t.rejects(http1Client(t, server.tcp).ask(held.target), 'nor over TCP');
    await t.rejects(idle.open(held.target), 'nor a new stream on an old connection');
    t.equal(linesOf(agent.process, 'disconnected').length, 0);

    await checkFinishes(t, open);
    t.same(await server.process.exit, { code: 0, signal: null });
    await agent.process.waitForLog('disconnected');
  });

  t.test(`SIGTERM to the agent, ${transport}`, async (t) => {
    const service = await startService(t, { agent: { transport } });
    const { server, agent } = service;
    const held = await startHeldTarget(t);
    const open = await openUsed(t, service, held);

    agent.process.kill('SIGTERM');
    await server.process.waitForLog('agent drains');
    await startAgent(t, server.agentPort, { transport, 'agent-id': 'node-2' });
    await agentsJoined(server, 2);
    const later: Held[] = [];
    while (later.length < 10) later.push(await openUsed(t, service, held));
    t.same(
      await streamsByAgent(server.adminPort),
      { 'node-1': 1, 'node-2': 10 },
      'new streams go to the agent that stays',
    );
    for (const { socket } of later) socket.destroy();

    await checkFinishes(t, open);
    t.same(await agent.process.exit, { code: 0, signal: null });
  });
}

t.test('SIGTERM to the only agent', async (t) => {
  const service = await startService(t);
  const { server, agent } = service;
  const held = await startHeldTarget(t);
  const open = await openUsed(t, service, held);
  agent.process.kill('SIGTERM');
  await server.process.waitForLog('agent drains');
  const echo = await startEchoTarget();
  t.teardown(() => echo.close());
  const { status, stream } = await http1Client(t, server.tcp).ask(authority(echo));
  t.ok(status === 200 || status === 503, `a new stream is served or refused: ${status}`);
  stream.destroy();
  await checkFinishes(t, open);
  t.same(await agent.process.exit, { code: 0, signal: null });
  const { code } = await http1Client(t, server.tcp).ask(held.target);
  t.equal(code, 'no_agent');
});

for (const who of ['server', 'agent'] as const) {
  t.test(`a second SIGTERM to the ${who} ends it at once`, async (t) => {
    const service = await startService(t);
    const held = await startHeldTarget(t);
    const { stream } = await openUsed(t, service, held);
    const { process } = service[who];
    process.kill('SIGTERM');
    await process.waitForLog('draining');
    process.kill('SIGTERM');
    t.same(await process.exit, { code: 1, signal: null });
    await gone(stream);
    t.pass('the stream is cut');
  });

  t.test(`streams that outlast the ${who}'s --graceful-shutdown-timeout are cut`, async (t) => {
    const flags = { 'graceful-shutdown-timeout': '500ms' };
    const service = await startService(t, { [who]: flags });
    const held = await startHeldTarget(t);
    const { stream } = await openUsed(t, service, held);
    const { process } = service[who];
    process.kill('SIGINT');
    await gone(stream);
    t.same(await process.exit, { code: 0, signal: null });
    t.equal(linesOf(process, 'open streams are cut').length, 1);
  });
}

/** How many streams each agent has, as the server's admin port tells. */
async function streamsByAgent(adminPort: number): Promise<Record<string, number>> {
  const response = await fetch(`http://${loopback}:${adminPort}/api/v1/status`);
  const { agents } = (await response.json()) as { agents: { agentId: string; streams: number }[] };
  return Object.fromEntries(agents.map(({ agentId, streams }) => [agentId, streams]));
}
