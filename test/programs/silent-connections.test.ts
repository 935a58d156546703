/**
 * Connections that send nothing, or half a message, are closed at the deadline of their port, as the flags say.
 * test/security/silent-connections.test.ts checks the exact time of those that a controlled clock can reach.
 */
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { startEchoTarget } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import {
  beforeHandshake,
  beforeHead,
  beforeHello,
  halfGet,
  openTcp,
  type SilentConnection,
} from '../support/silent-connections.ts';
import { authority, clientKinds, echoLine, inTime, openClient } from './clients.ts';
import { type Service, startService } from './fixture.ts';

/** Longer than the default, 10 s, so that a port that ignores its flag closes too early. */
const handshakeTimeoutMs = 11_000;
const headTimeoutMs = 15_000;
/** Fixed on the health and admin ports, which check it once a second. */
const adminHeadTimeoutMs = 5_000;

/** Node's timers count whole milliseconds, from the start of the event loop's tick. */
const timerErrorMs = 50;

function onAdminPorts({ server, agent }: Service): SilentConnection[] {
  const ports = {
    'health port': server.healthPort,
    'admin port': server.adminPort,
    "agent's health port": agent.healthPort,
    "agent's admin port": agent.adminPort,
  };
  const deadlineMs = adminHeadTimeoutMs;
  return Object.entries(ports).flatMap(([name, port]) => [
    { name: `${name}: no byte`, deadlineMs, open: () => openTcp(port) },
    { name: `${name}: half a head`, deadlineMs, open: () => openTcp(port), bytes: halfGet },
  ]);
}

/** A connection that is open, and how long the peer keeps it open. Our side does not close it. */
interface Opened {
  readonly name: string;
  readonly deadlineMs: number;
  readonly closedAfterMs: Promise<number>;
}

/** Opens the connection. The clock starts before the peer's, so the time is never too short. */
async function open({ name, deadlineMs, open, bytes }: SilentConnection): Promise<Opened> {
  const startedAtMs = performance.now();
  const socket = await open();
  socket.on('error', () => {});
  if (bytes !== undefined) socket.write(bytes);
  socket.resume();
  const closed = Promise.race([once(socket, 'end'), once(socket, 'close')]);
  const closedAfterMs = inTime(`${name}: the connection is closed`, closed).then(() => {
    const elapsedMs = performance.now() - startedAtMs;
    socket.destroy();
    return elapsedMs;
  });
  return { name, deadlineMs, closedAfterMs };
}

/** Streams without traffic: the head deadline must not apply to them. */
async function openIdleStreams(t: Test, { server }: Service): Promise<Duplex[]> {
  const echo = await startEchoTarget();
  t.teardown(() => echo.close());
  return Promise.all(
    clientKinds.map(async (kind) => (await openClient[kind](t, server)).open(authority(echo))),
  );
}

t.test('closes silent connections on every port, and no idle stream', async (t) => {
  const service = await startService(t, {
    server: {
      'handshake-timeout': `${handshakeTimeoutMs}ms`,
      'head-timeout': `${headTimeoutMs}ms`,
    },
  });
  const idleStreams = await openIdleStreams(t, service);
  const { server } = service;
  /** Those with an early deadline are opened first, so that those with a later one only close later. */
  const groups = [
    onAdminPorts(service),
    [
      ...(await beforeHandshake(server, handshakeTimeoutMs)),
      ...(await beforeHello(server, handshakeTimeoutMs)),
    ],
    await beforeHead(server, headTimeoutMs),
  ];
  const opened: Opened[] = [];
  for (const group of groups) opened.push(...(await Promise.all(group.map(open))));
  /** The deadlines, in the order in which the connections were closed. */
  const closed: number[] = [];
  await Promise.all(
    opened.map(async ({ name, deadlineMs, closedAfterMs }) => {
      const elapsedMs = Math.round(await closedAfterMs);
      closed.push(deadlineMs);
      const isTimely = elapsedMs > deadlineMs - timerErrorMs;
      t.ok(isTimely, `${name}: closed after ${elapsedMs} ms, deadline ${deadlineMs} ms`);
    }),
  );
  t.same(
    closed,
    closed.toSorted((one, other) => one - other),
    'the connections are closed in the order of their deadlines',
  );
  for (const stream of idleStreams) await echoLine(stream, 'an idle stream still works\n');
});
