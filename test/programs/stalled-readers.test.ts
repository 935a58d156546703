/**
 * A client, or a target, that stops reading: other streams of the same agent that wait with it, memory that
 * grows instead, or a stream that does not go on when it is read again.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { Duplex, Readable } from 'node:stream';
import {
  countBytes,
  eventually,
  readProcessStats,
  seededReadable,
  seededSha256,
  sourceRequest,
  startEchoTarget,
  startRequestedSourceTarget,
} from '@fairlead/testkit';
import t, { type Test } from 'tap';
import {
  authority,
  type Client,
  inTime,
  readBytes,
  readRest,
  type WayIn,
  wayNames,
  waysIn,
} from './clients.ts';
import { loopback, type Service, startService } from './fixture.ts';

const mib = 1024 ** 2;
const stalledBytes = 64 * mib;
/** More than the largest window of a stream, 16 MiB. */
const bulkBytes = 24 * mib;
const echoes = 200;
/** A window on either side of the tunnel, and the kernel's buffers of three connections. */
const maxHeldBytes = 2 * 16 * mib + 16 * mib;
/**
 * Streams of two kinds are stalled in each way, and each can fill its window on either side of the tunnel;
 * the rest is what V8 takes for the work of the others.
 */
const maxGrowthBytes = wayNames.length * 4 * 16 * mib + 48 * mib;

/** The others: bulk and echoes at the same time. They end only if they do not wait for what is stalled. */
async function work(client: Client, source: string, echo: string): Promise<void> {
  const bulk = await client.open(source);
  const keys = await client.open(echo);
  const moved = countBytes(bulk, { hash: false });
  bulk.end(sourceRequest(bulkBytes));
  for (let echoed = 0; echoed < echoes; echoed++) {
    keys.write('k');
    await readBytes(keys, 1);
  }
  keys.destroy();
  const { bytes } = await inTime('the bulk is complete', moved);
  if (bytes !== bulkBytes) throw new Error(`bulk: ${bytes} bytes`);
}

/** Resident memory of server and agent together. */
function memoryOf({ server, agent }: Service): number {
  return [server, agent]
    .map(({ process }) => readProcessStats(process.pid).rssBytes)
    .reduce((sum, bytes) => sum + bytes);
}

/** A stream that its receiver does not read. */
interface Stalled {
  /** How many bytes the sender has sent. */
  sentBytes(): number;
  /** Reads it to its end. */
  finish(): ReturnType<typeof countBytes>;
}

/** The data of a stalled stream, and how much of it is sent. */
function stalledData(): { data: Readable; sentBytes(): number } {
  const data = seededReadable('stalled', stalledBytes);
  let sent = 0;
  data.on('data', (chunk: Buffer) => {
    sent += chunk.length;
  });
  return { data, sentBytes: () => sent };
}

/** A target that leaves its connections to the test, and does not read. */
async function startHeldTarget(t: Test): Promise<{ target: string; next(): Promise<Socket> }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }).listen(0, loopback);
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
  });
  const next = async () => {
    const [socket] = await inTime('the target is dialed', once(server, 'connection'));
    t.teardown(() => {
      socket.destroy();
    });
    return socket as Socket;
  };
  return { target: `${loopback}:${(server.address() as AddressInfo).port}`, next };
}

async function openHeld(t: Test, client: Client): Promise<[Socket, Duplex]> {
  const { target, next } = await startHeldTarget(t);
  return Promise.all([next(), client.open(target)]);
}

/** Starts a download that the client does not read, once it has begun. */
async function stallDownload(t: Test, client: Client): Promise<Stalled> {
  const [socket, stream] = await openHeld(t, client);
  const { data, sentBytes } = stalledData();
  data.pipe(socket);
  stream.unshift(await readBytes(stream, 1));
  return {
    sentBytes,
    finish: () => {
      stream.end();
      return readRest(stream);
    },
  };
}

/** Starts an upload to a target that does not read. */
async function stallUpload(t: Test, client: Client): Promise<Stalled> {
  const [socket, stream] = await openHeld(t, client);
  const { data, sentBytes } = stalledData();
  data.pipe(stream);
  await eventually('the upload has begun', () => sentBytes() > mib);
  return {
    sentBytes,
    finish: () => {
      const received = readRest(socket);
      socket.end();
      return received;
    },
  };
}

const wanted = { bytes: stalledBytes, sha256: seededSha256('stalled', stalledBytes) };

t.test('stalled downloads and uploads', async (t) => {
  const service = await startService(t);
  const source = await startRequestedSourceTarget();
  t.teardown(() => source.close());
  const echo = await startEchoTarget();
  t.teardown(() => echo.close());
  const clients = await Promise.all(
    wayNames.map(async (way) => [way, await waysIn[way](t, service.server)] as const),
  );
  const others = (client: Client) => work(client, authority(source), authority(echo));
  for (const [, client] of clients) await others(client);
  const memoryBefore = memoryOf(service);

  const stalled: [way: WayIn, what: string, stream: Stalled][] = [];
  for (const [way, client] of clients) {
    stalled.push([way, 'download', await stallDownload(t, client)]);
    stalled.push([way, 'upload', await stallUpload(t, client)]);
  }
  for (const [way, client] of clients) {
    await others(client);
    t.pass(`${way}: bulk and echoes go on beside the stalled ones`);
  }
  for (const [way, what, { sentBytes }] of stalled) {
    const held = Math.round(sentBytes() / mib);
    t.ok(sentBytes() < maxHeldBytes, `${way}: the ${what} stands still after ${held} MiB`);
  }
  const growth = memoryOf(service) - memoryBefore;
  t.ok(growth < maxGrowthBytes, `memory stays within the windows: ${Math.round(growth / mib)} MiB`);

  for (const [way, what, { finish }] of stalled) {
    const report = await inTime(`the ${what} completes`, finish());
    t.same(report, wanted, `${way}: the stalled ${what} completes when it is read`);
  }
});
