/** Log lines, WebSocket messages and keystrokes arrive at once; no part of the tunnel waits for more bytes. */
import { once } from 'node:events';
import { createServer, get, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { startPodTarget } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { WebSocket } from 'ws';
import { authority, clientKinds, openClient, readBytes } from './clients.ts';
import { startService, transports } from './fixture.ts';

/** Answers each GET with a head only; the test writes the body. */
async function startLogTarget(t: Test) {
  const answers: ServerResponse[] = [];
  const server = createServer((_request, response) => {
    response.flushHeaders();
    answers.push(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  return { target: `127.0.0.1:${port}`, answers };
}

/** Writes each line after the one before has arrived, so a tunnel that delays a line never ends. */
async function readLog(t: Test, stream: Duplex, answers: readonly ServerResponse[]): Promise<void> {
  const call = get({ path: '/log', createConnection: () => stream });
  const [response] = await once(call, 'response');
  const arrived = createInterface({ input: response })[Symbol.asyncIterator]();
  const answer = answers.at(-1)!;
  for (const line of ['a line', 'x', 'y'.repeat(5_000), 'z']) {
    answer.write(`${line}\n`);
    t.equal((await arrived.next()).value, line);
  }
  answer.end();
  t.ok((await arrived.next()).done);
}

async function exchangeByWebSocket(t: Test, stream: Duplex): Promise<void> {
  const socket = new WebSocket('ws://pod/ws', {
    createConnection: () => stream as ReturnType<typeof import('node:net').connect>,
    perMessageDeflate: false,
  });
  await once(socket, 'open');
  for (const message of ['a', 'keystroke '.repeat(20), 'x'.repeat(200_000)]) {
    socket.send(message);
    const [echo] = await once(socket, 'message');
    t.equal(String(echo), message, `a message of ${message.length} bytes`);
  }
  socket.close(1000, 'done');
  const [code] = await once(socket, 'close');
  t.equal(code, 1000, 'the close handshake completes');
}

async function exchangeByUpgrade(t: Test, stream: Duplex): Promise<void> {
  const call = request({
    method: 'POST',
    path: '/exec',
    headers: { connection: 'Upgrade', upgrade: 'SPDY/3.1' },
    createConnection: () => stream,
  });
  call.end();
  const [response, upgraded, head] = await once(call, 'upgrade');
  t.equal(response.statusCode, 101);
  t.equal(response.headers.upgrade, 'SPDY/3.1');
  t.equal(head.length, 0);
  for (const text of ['l', 's', '\r', 'x'.repeat(100_000)]) {
    upgraded.write(text);
    t.equal(String(await readBytes(upgraded, text.length)), text, `${text.length} bytes echoed`);
  }
}

for (const transport of transports) {
  t.test(`through a ${transport} tunnel`, async (t) => {
    const { server } = await startService(t, { agent: { transport } });
    const pod = await startPodTarget();
    t.teardown(() => pod.close());
    const target = authority(pod);

    await t.test('delivers a slow log line by line', async (t) => {
      const { target: log, answers } = await startLogTarget(t);
      for (const kind of clientKinds) {
        await t.test(kind, async (t) => {
          const client = await openClient[kind](t, server);
          await readLog(t, await client.open(log), answers);
        });
      }
    });

    for (const kind of clientKinds) {
      await t.test(`carries WebSocket messages and an upgraded connection, ${kind}`, async (t) => {
        const client = await openClient[kind](t, server);
        await exchangeByWebSocket(t, await client.open(target));
        await exchangeByUpgrade(t, await client.open(target));
      });
    }
  });
}
