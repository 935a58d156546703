/** Lines, messages and keystrokes that are held back on their way until more of them are there. */
import { once } from 'node:events';
import { get, request } from 'node:http';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { startPodTarget } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { WebSocket } from 'ws';
import { startService, transports } from './fixture.ts';
import { authority, readBytes, wayNames, waysIn } from './ways-in.ts';

const intervalMs = 300;
const lines = 10;

/** GET of a log that grows; each line carries the time when the target sent it. */
async function readLog(t: Test, name: string, stream: Duplex): Promise<void> {
  const path = `/containerLogs/default/web-0/web?lines=${lines}&intervalMs=${intervalMs}`;
  const asking = get({ path, createConnection: () => stream });
  const [response] = await once(asking, 'response');
  const delaysMs: number[] = [];
  for await (const line of createInterface({ input: response })) {
    delaysMs.push(Date.now() - Date.parse(line.split(' ', 1)[0]!));
  }
  t.equal(delaysMs.length, lines, `${name}: all lines`);
  const late = delaysMs.filter((delayMs) => delayMs >= intervalMs);
  t.same(late, [], `${name}: each is here before the next is sent`);
}

async function talkByWebSocket(t: Test, stream: Duplex): Promise<void> {
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
  t.equal(code, 1000, 'closed in order');
}

async function talkByUpgrade(t: Test, stream: Duplex): Promise<void> {
  const asking = request({
    method: 'POST',
    path: '/exec',
    headers: { connection: 'Upgrade', upgrade: 'SPDY/3.1' },
    createConnection: () => stream,
  });
  asking.end();
  const [response, upgraded, head] = await once(asking, 'upgrade');
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

    await t.test('a log that trickles arrives line by line', async (t) => {
      const streams = await Promise.all(
        wayNames.map(async (way) => (await waysIn[way](t, server)).open(target)),
      );
      await Promise.all(streams.map((stream, at) => readLog(t, wayNames[at]!, stream)));
    });

    for (const way of wayNames) {
      await t.test(`WebSocket and Upgrade, ${way}`, async (t) => {
        const client = await waysIn[way](t, server);
        await talkByWebSocket(t, await client.open(target));
        await talkByUpgrade(t, await client.open(target));
      });
    }
  });
}
