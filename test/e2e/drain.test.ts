/** Drain, without a process: open streams finish, new ones go to another agent or are refused. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { readText, startEchoTarget } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { loopback, startAgent } from '../support/fleet.ts';
import { exchange, open, startService, transports } from './service.ts';

const echo = await startEchoTarget();
t.teardown(() => echo.close());

/** A target that gives its connection to the test. */
async function startControlledTarget(t: Test) {
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
  t.test(`a draining server finishes streams and refuses new ones, ${transport}`, async (t) => {
    const { server, agent } = await startService(t, transport);
    const target = await startControlledTarget(t);
    const stream = await open(t, server, 'HTTP/1.1 over mTLS', target);
    const socket = await target.connection;
    const drained = server.server.drain();
    await t.rejects(
      open(t, server, 'HTTP/1.1 over mTLS', echo),
      'refuses new connections over TCP',
    );
    await t.rejects(
      open(t, server, 'HTTP/2 over the UDS', echo),
      'refuses new connections over the UDS',
    );
    t.equal(agent.log.of('disconnected').length, 0, 'the tunnel stays up');
    stream.end('the question');
    t.equal(await readText(socket), 'the question', 'the open stream still carries the question');
    socket.end('the answer');
    t.equal(await readText(stream), 'the answer', 'the open stream finishes with the answer');
    await drained;
    await agent.log.line('disconnected');
  });

  t.test(`a draining agent finishes streams, new ones go elsewhere, ${transport}`, async (t) => {
    const { server, agent } = await startService(t, transport);
    const target = await startControlledTarget(t);
    const stream = await open(t, server, 'HTTP/2 over mTLS', target);
    const socket = await target.connection;
    const drained = agent.agent.drain();
    await server.log.line('agent drains');
    const other = await startAgent(t, server, { transport });
    await server.log.lineAfter(1, 'agent connected');
    for (let count = 0; count < 5; count++) {
      const later = await open(t, server, 'HTTP/1.1 over the UDS', echo);
      t.equal(await exchange(later, 'hello'), 'hello', 'a new stream is served');
      later.destroy();
    }
    t.equal(agent.log.of('stream').length, 0, 'no new stream goes to the draining agent');
    stream.end('the question');
    t.equal(await readText(socket), 'the question', 'the open stream still carries the question');
    socket.end('the answer');
    t.equal(await readText(stream), 'the answer', 'the open stream finishes with the answer');
    await drained;
    t.ok(other.agent.isReady);
  });
}
