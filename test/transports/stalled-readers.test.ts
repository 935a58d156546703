/**
 * Streams beside stalled ones keep their rate and their latency. The slow link between server and agent decides
 * about both, in controlled time, so the result does not depend on the load of the machine.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import {
  countBytes,
  seededReadable,
  sourceRequest,
  startEchoTarget,
  startRequestedSourceTarget,
  startSlowLink,
} from '@fairlead/testkit';
import { type ControlledTime, controlTime, passTime } from '@fairlead/testkit/controlled-time';
import t, { type Test } from 'tap';
import {
  authority,
  type Client,
  http1Client,
  http2Client,
  readBytes,
} from '../programs/clients.ts';
import { loopback, startAgent, startServer, type TestServer } from '../support/fleet.ts';

/** 100 Mbit/s. */
const bytesPerSecond = 12_500_000;
const delayMs = 5;
/** Takes a fifth of a second on the link. */
const bulkBytes = 2_500_000;
const stalledBytes = 64 * 1024 ** 2;
/** A millisecond has more ticks than a byte needs from the client to the target. */
const steps = { stepMs: 1, ticks: 16 };

const source = await startRequestedSourceTarget();
const echo = await startEchoTarget();
t.teardown(async () => {
  await source.close();
  await echo.close();
});

interface Pace {
  readonly bulkMs: number;
  readonly medianEchoMs: number;
}

/** A bulk download, and echoes one after the other meanwhile. */
async function measure(client: Client): Promise<Pace> {
  const bulk = await client.open(authority(source));
  const keys = await client.open(authority(echo));
  const startedAtMs = performance.now();
  let bulkMs = 0;
  const counted = countBytes(bulk, { hash: false }).then(({ bytes }) => {
    if (bytes !== bulkBytes) throw new Error(`bulk transfer: ${bytes} bytes`);
    bulkMs = performance.now() - startedAtMs;
  });
  bulk.end(sourceRequest(bulkBytes));
  const echoMs: number[] = [];
  while (bulkMs === 0) {
    const sentAtMs = performance.now();
    keys.write('k');
    await readBytes(keys, 1);
    echoMs.push(performance.now() - sentAtMs);
  }
  await counted;
  keys.destroy();
  echoMs.sort((one, other) => one - other);
  return { bulkMs, medianEchoMs: echoMs[Math.floor(echoMs.length / 2)]! };
}

/** Starts a download of which the client reads only the first byte. */
async function stallDownload(client: Client): Promise<void> {
  const stream = await client.open(authority(source));
  stream.end(sourceRequest(stalledBytes, 'stalled'));
  await readBytes(stream, 1);
}

/** Starts an upload to a target that does not read. */
async function stallUpload(t: Test, client: Client): Promise<void> {
  const server = createServer({ pauseOnConnect: true }).listen(0, loopback);
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
  });
  server.on('connection', (socket) => {
    socket.on('error', () => {});
    t.teardown(() => {
      socket.destroy();
    });
  });
  const { port } = server.address() as AddressInfo;
  const stream = await client.open(`${loopback}:${port}`);
  const data = seededReadable('stalled', stalledBytes);
  data.pipe(stream);
  await once(data, 'pause');
}

/** Advances time until the bytes of the stalled streams have left the link. */
async function untilStill(time: ControlledTime): Promise<void> {
  const still = new Promise((resolve) => setTimeout(resolve, 5_000));
  await passTime(time, 'the stalled streams stand still', still, { stepMs: 10, ticks: 16 });
}

const kinds: Record<string, (t: Test, server: TestServer) => Client | Promise<Client>> = {
  'HTTP/1.1 over mTLS': (t, { tcp }) => http1Client(t, tcp),
  'HTTP/1.1 over the UDS': (t, { uds }) => http1Client(t, uds),
  'HTTP/2 over mTLS': (t, { tcp }) => http2Client(t, tcp),
  'HTTP/2 over the UDS': (t, { uds }) => http2Client(t, uds),
};

for (const [kind, openClient] of Object.entries(kinds)) {
  t.test(`bulk and echoes keep their pace beside stalled streams, ${kind}`, async (t) => {
    const server = await startServer(t);
    const to = { host: loopback, port: server.agentPort };
    const time = controlTime(t);
    const link = await startSlowLink({ to, delayMs, bytesPerSecond });
    t.teardown(() => link.close());
    const { agent } = await startAgent(t, link.port);
    await passTime(time, 'the agent is connected', server.untilAgents(1), steps);
    const client = await openClient(t, server);
    const measured = () => passTime(time, 'bulk and echoes', measure(client), steps);

    await measured();
    const alone = await measured();
    const stalled = Promise.all([stallDownload(client), stallUpload(t, client)]);
    await passTime(time, 'the streams stall', stalled, steps);
    await untilStill(time);
    const beside = await measured();
    t.comment(
      `${kind}: alone ${JSON.stringify(alone)}, beside stalled streams ${JSON.stringify(beside)}`,
    );
    t.ok(alone.bulkMs > (1_000 * bulkBytes) / bytesPerSecond, 'the link limits the bulk transfer');
    t.ok(alone.medianEchoMs >= 2 * delayMs, 'an echo passes the link twice');
    t.ok(beside.bulkMs < 1.25 * alone.bulkMs, `bulk: ${beside.bulkMs} ms`);
    t.ok(beside.medianEchoMs < 1.25 * alone.medianEchoMs, `echoes: ${beside.medianEchoMs} ms`);
    // The last bytes pass the link, for which time must advance.
    await passTime(time, 'the agent is closed', agent.close(), steps);
  });
}
