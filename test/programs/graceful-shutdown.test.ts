/** SIGTERM: open streams finish to their last byte, new ones are refused or go elsewhere, the process exits. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { seededReadable, seededSha256, startEchoTarget } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import {
  authority,
  http1Client,
  http2Client,
  inTime,
  readBytes,
  readRest,
  untilEnded,
} from './clients.ts';
import {
  connectAgent,
  type Flags,
  linesOf,
  loopback,
  type RunningServer,
  startServer,
  startService,
  transports,
} from './fixture.ts';

/** More than the largest window of a stream, 16 MiB, so credit must still be granted during a drain. */
const answerBytes = 32 * 1024 ** 2;

/** For tests in which only the agent ends. Tests that end a server start their own. */
const sharedServer = await startServer(t);

/** A target that gives its connections to the test. */
interface ControlledTarget {
  readonly target: string;
  nextConnection(): Promise<Socket>;
}

/** Both ends of a stream. */
interface StreamEnds {
  readonly stream: Duplex;
  /** The target's end. */
  readonly socket: Socket;
}

async function startControlledTarget(t: Test): Promise<ControlledTarget> {
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

/** Opens a stream and sends a line in each direction. */
async function openActiveStream(
  t: Test,
  server: RunningServer,
  target: ControlledTarget,
): Promise<StreamEnds> {
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

/** Checks that the stream still carries bytes in both directions and delivers a long answer completely. */
async function checkFinishes(t: Test, { stream, socket }: StreamEnds): Promise<void> {
  stream.write('more\n');
  t.equal(String(await readBytes(socket, 5)), 'more\n', 'the stream still carries bytes');
  seededReadable('answer', answerBytes).pipe(socket);
  stream.end();
  const expected = { bytes: answerBytes, sha256: seededSha256('answer', answerBytes) };
  t.same(await readRest(stream), expected, 'the answer is complete');
}

/** Waits until the server has seen agents drain `count` times. */
async function untilAgentsDrain({ process }: RunningServer, count: number): Promise<void> {
  await process.waitForLog(() => linesOf(process, 'agent drains').length >= count);
}

/** Starts a server and an agent. `process` is the program that the test ends; the flags are for it. */
async function startEnding(t: Test, program: 'server' | 'agent', flags: Flags = {}) {
  if (program === 'agent') {
    const { process } = await connectAgent(t, sharedServer, flags);
    return { server: sharedServer, process };
  }
  const { server } = await startService(t, { server: flags });
  return { server, process: server.process };
}

for (const transport of transports) {
  t.test(`a server finishes open streams and refuses new ones, ${transport}`, async (t) => {
    const { server, agent } = await startService(t, { agent: { transport } });
    const target = await startControlledTarget(t);
    const idle = await http2Client(t, server.tcp);
    const active = await openActiveStream(t, server, target);

    server.process.kill('SIGTERM');
    await server.process.waitForLog('draining');
    await t.rejects(
      http1Client(t, server.uds).ask(target.target),
      'refuses new connections over the UDS',
    );
    await t.rejects(
      http1Client(t, server.tcp).ask(target.target),
      'refuses new connections over TCP',
    );
    await t.rejects(idle.open(target.target), 'refuses new streams on an open connection');
    t.equal(linesOf(agent.process, 'disconnected').length, 0);

    await checkFinishes(t, active);
    t.same(await inTime('the program ends', server.process.exit), { code: 0, signal: null });
    await agent.process.waitForLog('disconnected');
  });

  t.test(`an agent finishes open streams, and new ones go elsewhere, ${transport}`, async (t) => {
    const server = sharedServer;
    const drained = linesOf(server.process, 'agent drains').length + 1;
    const agent = await connectAgent(t, server, { transport });
    const target = await startControlledTarget(t);
    const active = await openActiveStream(t, server, target);

    agent.process.kill('SIGTERM');
    await untilAgentsDrain(server, drained);
    await connectAgent(t, server, { transport, 'agent-id': 'node-2' });
    const newStreams: StreamEnds[] = [];
    while (newStreams.length < 10) newStreams.push(await openActiveStream(t, server, target));
    t.same(
      await streamsByAgent(server.adminPort),
      { 'node-1': 1, 'node-2': 10 },
      'new streams go to the other agent',
    );
    for (const { socket } of newStreams) socket.destroy();

    await checkFinishes(t, active);
    t.same(await inTime('the program ends', agent.process.exit), { code: 0, signal: null });
  });
}

t.test('the only agent finishes open streams before it exits', async (t) => {
  const server = sharedServer;
  const drained = linesOf(server.process, 'agent drains').length + 1;
  const agent = await connectAgent(t, server);
  const target = await startControlledTarget(t);
  const active = await openActiveStream(t, server, target);
  agent.process.kill('SIGTERM');
  await untilAgentsDrain(server, drained);
  const echo = await startEchoTarget();
  t.teardown(() => echo.close());
  const { status, stream } = await http1Client(t, server.tcp).ask(authority(echo));
  t.ok(status === 200 || status === 503, `a new stream is served or refused: ${status}`);
  stream.destroy();
  await checkFinishes(t, active);
  t.same(await inTime('the program ends', agent.process.exit), { code: 0, signal: null });
  const { code } = await http1Client(t, server.tcp).ask(target.target);
  t.equal(code, 'no_agent');
});

for (const program of ['server', 'agent'] as const) {
  t.test(`a second SIGTERM ends the ${program} at once`, async (t) => {
    const { server, process } = await startEnding(t, program);
    const target = await startControlledTarget(t);
    const { stream } = await openActiveStream(t, server, target);
    process.kill('SIGTERM');
    await process.waitForLog('draining');
    process.kill('SIGTERM');
    t.same(await inTime('the program ends', process.exit), { code: 1, signal: null });
    await untilEnded(stream);
    t.pass('the stream is cut');
  });

  t.test(`the ${program} cuts streams at the end of --graceful-shutdown-timeout`, async (t) => {
    const flags = { 'graceful-shutdown-timeout': '500ms' };
    const { server, process } = await startEnding(t, program, flags);
    const target = await startControlledTarget(t);
    const { stream } = await openActiveStream(t, server, target);
    process.kill('SIGINT');
    await untilEnded(stream);
    t.same(await inTime('the program ends', process.exit), { code: 0, signal: null });
    t.equal(linesOf(process, 'open streams are cut').length, 1);
  });
}

/** How many streams each agent has, according to the server's admin port. */
async function streamsByAgent(adminPort: number): Promise<Record<string, number>> {
  const response = await fetch(`http://${loopback}:${adminPort}/api/v1/status`);
  const { agents } = (await response.json()) as { agents: { agentId: string; streams: number }[] };
  return Object.fromEntries(agents.map(({ agentId, streams }) => [agentId, streams]));
}
