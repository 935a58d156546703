/**
 * A client, or a target, that stops reading: other streams of the same agent that wait with it, memory that
 * grows instead, or a stream that does not go on when it is read again.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import {
  countBytes,
  readProcessStats,
  seededReadable,
  seededSha256,
  sourceRequest,
  startEchoTarget,
  startRequestedSourceTarget,
} from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { loopback, type Service, startService } from './fixture.ts';
import {
  authority,
  type Client,
  readBytes,
  readRest,
  type WayIn,
  wayNames,
  waysIn,
} from './ways-in.ts';

const mib = 1024 ** 2;
const stalledBytes = 256 * mib;
const bulkBytes = 64 * mib;
const echoes = 500;
/** Of several rounds the best counts: the machine may be busy with other things in one of them. */
const rounds = 3;
/**
 * A stalled stream may fill its window on either side of the tunnel, twice where two are stalled; the
 * rest is what V8 takes for the work of the others.
 */
const maxGrowthBytes = 4 * 16 * mib + 48 * mib;

/** How long the others took, bulk and echoes at the same time. */
interface Pace {
  readonly bulkMs: number;
  readonly medianEchoMs: number;
}

async function work(client: Client, source: string, echo: string): Promise<Pace> {
  const bulk = await client.open(source);
  const keys = await client.open(echo);
  const startedAtMs = performance.now();
  const moved = countBytes(bulk, { hash: false }).then(() => performance.now() - startedAtMs);
  bulk.end(sourceRequest(bulkBytes));
  const echoMs: number[] = [];
  while (echoMs.length < echoes) {
    const typedAtMs = performance.now();
    keys.write('k');
    await readBytes(keys, 1);
    echoMs.push(performance.now() - typedAtMs);
  }
  keys.destroy();
  echoMs.sort((one, other) => one - other);
  return { bulkMs: await moved, medianEchoMs: echoMs[echoes / 2]! };
}

async function bestPace(client: Client, source: string, echo: string): Promise<Pace> {
  const paces: Pace[] = [];
  while (paces.length < rounds) paces.push(await work(client, source, echo));
  return {
    bulkMs: Math.min(...paces.map(({ bulkMs }) => bulkMs)),
    medianEchoMs: Math.min(...paces.map(({ medianEchoMs }) => medianEchoMs)),
  };
}

/** Resident memory of server and agent together. */
function memoryOf({ server, agent }: Service): number {
  return [server, agent]
    .map(({ process }) => readProcessStats(process.pid).rssBytes)
    .reduce((sum, bytes) => sum + bytes);
}

/** A target that accepts and does not read until it is told to. */
async function startStalledTarget(t: Test): Promise<{ target: string; next(): Promise<Socket> }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }).listen(0, loopback);
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
  });
  return {
    target: `${loopback}:${(server.address() as AddressInfo).port}`,
    next: async () => (await once(server, 'connection'))[0] as Socket,
  };
}

/** Opens a download that nobody reads, once it has begun. */
async function stallDownload(client: Client, source: string): Promise<Duplex> {
  const stream = await client.open(source);
  stream.end(sourceRequest(stalledBytes, 'stalled'));
  stream.unshift(await readBytes(stream, 1));
  return stream;
}

/** Starts an upload to a target that does not read; resolves with the target's side. */
async function stallUpload(t: Test, client: Client): Promise<Socket> {
  const { target, next } = await startStalledTarget(t);
  const [socket, stream] = await Promise.all([next(), client.open(target)]);
  t.teardown(() => {
    socket.destroy();
  });
  const data = seededReadable('stalled', stalledBytes).pipe(stream);
  await once(data, 'drain');
  return socket;
}

const wanted = { bytes: stalledBytes, sha256: seededSha256('stalled', stalledBytes) };

async function checkStall(t: Test, way: WayIn): Promise<void> {
  const service = await startService(t);
  const source = await startRequestedSourceTarget();
  t.teardown(() => source.close());
  const echo = await startEchoTarget();
  t.teardown(() => echo.close());
  const client = await waysIn[way](t, service.server);
  const others = () => bestPace(client, authority(source), authority(echo));

  const before = await others();
  const memoryBefore = memoryOf(service);

  const download = await stallDownload(client, authority(source));
  const upload = await stallUpload(t, client);
  const beside = await others();
  const growth = memoryOf(service) - memoryBefore;

  t.ok(growth < maxGrowthBytes, `memory stays within the windows: ${Math.round(growth / mib)} MiB`);

  t.notOk(download.readableEnded);
  t.same(await readRest(download), wanted, 'the stalled download completes when it is read');
  const received = readRest(upload);
  upload.end();
  t.same(await received, wanted, 'the stalled upload completes when it is read');

  // Measured before and after, since a machine that is busy with other things has no one pace.
  const after = await others();
  const bulkRatio = beside.bulkMs / Math.max(before.bulkMs, after.bulkMs);
  const echoRatio = beside.medianEchoMs / Math.max(before.medianEchoMs, after.medianEchoMs);
  t.comment(
    `${way}: beside the stalled ones bulk took ${bulkRatio.toFixed(2)} times as long, the median echo ${echoRatio.toFixed(2)} times, memory grew by ${Math.round(growth / mib)} MiB`,
  );
  // The bench holds tighter bars on a quiet machine; what waits for a stalled stream never ends.
  t.ok(bulkRatio < 2, 'bulk keeps its rate');
  t.ok(echoRatio < 2, 'echoes keep their pace');
}

for (const way of wayNames) {
  t.test(`a stalled download and a stalled upload, ${way}`, (t) => checkStall(t, way));
}
