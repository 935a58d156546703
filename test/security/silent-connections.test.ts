/** Connections that send nothing, or half a message, are closed exactly at their deadline. */
import { eventually } from '@fairlead/testkit';
import { controlTime } from '@fairlead/testkit/controlled-time';
import t from 'tap';
import { startServer } from '../support/fleet.ts';
import { beforeHead, beforeHello } from '../support/silent-connections.ts';

const helloMs = 60_000;
const headMs = 90_000;
/** A deadline can be checked this much later. */
const toleranceMs = 50;

/** Enough ticks for bytes, or the end of a connection, to pass all sockets of this process. */
async function settle(): Promise<void> {
  for (let tick = 0; tick < 200; tick++) await new Promise(setImmediate);
}

t.test('closes silent connections at their deadline, not earlier or later', async (t) => {
  const time = controlTime(t);
  const server = await startServer(t, {
    handshakeTimeout: helloMs,
    headTimeout: headMs,
    // An unanswered PING must not close a tunnel first.
    pingInterval: 2 * headMs,
  });
  const connections = [
    ...(await beforeHello(server, helloMs)),
    ...(await beforeHead(server, headMs)),
  ];
  const closed = new Set<string>();
  await Promise.all(
    connections.map(async ({ name, open, bytes }) => {
      const socket = await open();
      t.teardown(() => {
        socket.destroy();
      });
      const onClosed = () => closed.add(name);
      socket
        .on('error', () => {})
        .once('end', onClosed)
        .once('close', onClosed);
      if (bytes !== undefined) socket.write(bytes);
      socket.resume();
    }),
  );
  await settle();
  const startedAtMs = performance.now();
  for (const deadlineMs of [helloMs, headMs]) {
    await time.advance(startedAtMs + deadlineMs - toleranceMs - performance.now());
    await settle();
    const later = connections.filter((one) => one.deadlineMs >= deadlineMs);
    for (const { name } of later)
      t.notOk(closed.has(name), `${name}: open before ${deadlineMs} ms`);
    await time.advance(2 * toleranceMs);
    for (const { name } of later.filter((one) => one.deadlineMs === deadlineMs)) {
      await eventually(`${name}: closed at ${deadlineMs} ms`, () => closed.has(name));
    }
    t.equal(
      closed.size,
      connections.filter((one) => one.deadlineMs <= deadlineMs).length,
      `all connections with a deadline of ${deadlineMs} ms are closed`,
    );
  }
});
