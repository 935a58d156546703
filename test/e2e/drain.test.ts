/** SIGTERM's work, without the process: open streams finish, new ones go elsewhere or are refused. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { readText, startEchoTarget } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { loopback, startAgent } from '../support/fleet.ts';
import { exchange, open, startService, transports } from './service.ts';

const echo = await startEchoTarget();
t.teardown(() => echo.close());

/** A target that answers when the test says so. */
async function startHeldTarget(t: Test) {
  const server = createServer({ allowHalfOpen: true }).listen(0, loopback);
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const next = once(server, 'connection') as Promise<[Socket]>;
  return {
    host: loopback,
    port,
    connection: next.then(([socket]) => socket.on('error', () => {})),
  };
}

for (const transport of transports.filter((name) => name !== 'grpc')) {
  t.test(`a server drains, ${transport}`, async (t) => {
    const { server, agent } = await startService(t, transport);
    const held = await startHeldTarget(t);
    const stream = await open(t, server, 'HTTP/1.1 over mTLS', held);
    const socket = await held.connection;
    const drained = server.server.drain();
    await t.rejects(open(t, server, 'HTTP/1.1 over mTLS', echo), 'no new connection over TCP');
    await t.rejects(open(t, server, 'HTTP/2 over the UDS', echo), 'nor over the UDS');
    t.equal(agent.log.of('disconnected').length, 0, 'the tunnel stays');
    stream.end('the question');
    t.equal(await readText(socket), 'the question', 'the open stream goes on');
    socket.end('the answer');
    t.equal(await readText(stream), 'the answer', 'and finishes');
    await drained;
    await agent.log.line('disconnected');
  });

  t.test(`an agent drains, ${transport}`, async (t) => {
    const { server, agent } = await startService(t, transport);
    const held = await startHeldTarget(t);
    const stream = await open(t, server, 'HTTP/2 over mTLS', held);
    const socket = await held.connection;
    const drained = agent.agent.drain();
    await server.log.line('agent drains');
    const other = await startAgent(t, server, { transport });
    await server.log.lineAfter(1, 'agent connected');
    for (let count = 0; count < 5; count++) {
      const later = await open(t, server, 'HTTP/1.1 over the UDS', echo);
      t.equal(await exchange(later, 'hello'), 'hello', 'a new stream is served');
      later.destroy();
    }
    t.equal(agent.log.of('stream').length, 0, 'and not by the agent that drains');
    stream.end('the question');
    t.equal(await readText(socket), 'the question', 'the open stream goes on');
    socket.end('the answer');
    t.equal(await readText(stream), 'the answer', 'and finishes');
    await drained;
    t.ok(other.agent.isReady);
  });
}
