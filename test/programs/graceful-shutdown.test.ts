/** SIGTERM that cuts a stream, loses its last bytes, lets new ones in, or does not end the process. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { seededReadable, seededSha256, startEchoTarget } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import {
  authority,
  gone,
  http1Client,
  http2Client,
  inTime,
  readBytes,
  readRest,
} from './clients.ts';
import {
  type Flags,
  joinAgent,
  linesOf,
  loopback,
  type RunningServer,
  startServer,
  startService,
  transports,
} from './fixture.ts';

/** More than the largest window of a stream, 16 MiB: the drain must not stop the windows. */
const answerBytes = 32 * 1024 ** 2;

/** For tests in which the agent ends; where the server ends, it is the test's own. */
const sharedServer = await startServer(t);

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
  const nextConnection = async () =>
    (await inTime('the target is dialed', once(server, 'connection')))[0] as Socket;
  return { target: `${loopback}:${port}`, nextConnection };
}

/** Opens a stream and exchanges a line each way. */
async function openUsed(t: Test, server: RunningServer, target: HeldTarget): Promise<Held> {
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

/** Waits until the server has seen agents drain `count` times. */
async function agentsDrain({ process }: RunningServer, count: number): Promise<void> {
  await process.waitForLog(() => linesOf(process, 'agent drains').length >= count);
}

/** A service whose server, or agent, is going to end, with these flags. */
async function startEnding(t: Test, who: 'server' | 'agent', flags: Flags = {}) {
  if (who === 'agent') {
    const { process } = await joinAgent(t, sharedServer, flags);
    return { server: sharedServer, process };
  }
  const { server } = await startService(t, { server: flags });
  return { server, process: server.process };
}

for (const transport of transports) {
  t.test(`SIGTERM to the server, ${transport}`, async (t) => {
    const { server, agent } = await startService(t, { agent: { transport } });
    const held = await startHeldTarget(t);
    const idle = await http2Client(t, server.tcp);
    const open = await openUsed(t, server, held);

    server.process.kill('SIGTERM');
    await server.process.waitForLog('draining');
    await t.rejects(http1Client(t, server.uds).ask(held.target), 'no new connection over the UDS');
    await t.rejects(http1Client(t, server.tcp).ask(held.target), 'nor over TCP');
    await t.rejects(idle.open(held.target), 'nor a new stream on an old connection');
    t.equal(linesOf(agent.process, 'disconnected').length, 0);

    await checkFinishes(t, open);
    t.same(await inTime('the program ends', server.process.exit), { code: 0, signal: null });
    await agent.process.waitForLog('disconnected');
  });

  t.test(`SIGTERM to the agent, ${transport}`, async (t) => {
    const server = sharedServer;
    const drained = linesOf(server.process, 'agent drains').length + 1;
    const agent = await joinAgent(t, server, { transport });
    const held = await startHeldTarget(t);
    const open = await openUsed(t, server, held);

    agent.process.kill('SIGTERM');
    await agentsDrain(server, drained);
    await joinAgent(t, server, { transport, 'agent-id': 'node-2' });
    const later: Held[] = [];
    while (later.length < 10) later.push(await openUsed(t, server, held));
    t.same(
      await streamsByAgent(server.adminPort),
      { 'node-1': 1, 'node-2': 10 },
      'new streams go to the agent that stays',
    );
    for (const { socket } of later) socket.destroy();

    await checkFinishes(t, open);
    t.same(await inTime('the program ends', agent.process.exit), { code: 0, signal: null });
  });
}

t.test('SIGTERM to the only agent', async (t) => {
  const server = sharedServer;
  const drained = linesOf(server.process, 'agent drains').length + 1;
  const agent = await joinAgent(t, server);
  const held = await startHeldTarget(t);
  const open = await openUsed(t, server, held);
  agent.process.kill('SIGTERM');
  await agentsDrain(server, drained);
  const echo = await startEchoTarget();
  t.teardown(() => echo.close());
  const { status, stream } = await http1Client(t, server.tcp).ask(authority(echo));
  t.ok(status === 200 || status === 503, `a new stream is served or refused: ${status}`);
  stream.destroy();
  await checkFinishes(t, open);
  t.same(await inTime('the program ends', agent.process.exit), { code: 0, signal: null });
  const { code } = await http1Client(t, server.tcp).ask(held.target);
  t.equal(code, 'no_agent');
});

for (const who of ['server', 'agent'] as const) {
  t.test(`a second SIGTERM to the ${who} ends it at once`, async (t) => {
    const { server, process } = await startEnding(t, who);
    const held = await startHeldTarget(t);
    const { stream } = await openUsed(t, server, held);
    process.kill('SIGTERM');
    await process.waitForLog('draining');
    process.kill('SIGTERM');
    t.same(await inTime('the program ends', process.exit), { code: 1, signal: null });
    await gone(stream);
    t.pass('the stream is cut');
  });

  t.test(`streams that outlast the ${who}'s --graceful-shutdown-timeout are cut`, async (t) => {
    const flags = { 'graceful-shutdown-timeout': '500ms' };
    const { server, process } = await startEnding(t, who, flags);
    const held = await startHeldTarget(t);
    const { stream } = await openUsed(t, server, held);
    process.kill('SIGINT');
    await gone(stream);
    t.same(await inTime('the program ends', process.exit), { code: 0, signal: null });
    t.equal(linesOf(process, 'open streams are cut').length, 1);
  });
}

/** How many streams each agent has, as the server's admin port tells. */
async function streamsByAgent(adminPort: number): Promise<Record<string, number>> {
  const response = await fetch(`http://${loopback}:${adminPort}/api/v1/status`);
  const { agents } = (await response.json()) as { agents: { agentId: string; streams: number }[] };
  return Object.fromEntries(agents.map(({ agentId, streams }) => [agentId, streams]));
}
