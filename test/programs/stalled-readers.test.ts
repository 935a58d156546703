/** Clients and targets that stop reading: other streams stay fast, memory is bounded, and a stream resumes when it is read. */
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
  type ClientKind,
  clientKinds,
  inTime,
  openClient,
  readBytes,
  readRest,
} from './clients.ts';
import { loopback, type Service, startService } from './fixture.ts';

const mib = 1024 ** 2;
const stalledBytes = 64 * mib;
/** More than the largest window of a stream, 16 MiB. */
const bulkBytes = 24 * mib;
const echoes = 200;
/** A window at each end of the tunnel, and the kernel's buffers of three connections. */
const maxUnreadBytes = 2 * 16 * mib + 16 * mib;
/**
 * For each kind of client, a download and an upload are stalled, and each can fill a window at both ends of
 * the tunnel. The rest is what V8 uses for the other streams.
 */
const maxGrowthBytes = clientKinds.length * 4 * 16 * mib + 48 * mib;

/** A bulk transfer and echoes at the same time. They end only if they do not wait for a stalled stream. */
async function transferAndEcho(client: Client, source: string, echo: string): Promise<void> {
  const bulk = await client.open(source);
  const keys = await client.open(echo);
  const counted = countBytes(bulk, { hash: false });
  bulk.end(sourceRequest(bulkBytes));
  for (let echoed = 0; echoed < echoes; echoed++) {
    keys.write('k');
    await readBytes(keys, 1);
  }
  keys.destroy();
  const { bytes } = await inTime('the bulk transfer is complete', counted);
  if (bytes !== bulkBytes) throw new Error(`bulk transfer: ${bytes} bytes`);
}

/** Sum of the resident memory of server and agent. */
function memoryOf({ server, agent }: Service): number {
  return [server, agent]
    .map(({ process }) => readProcessStats(process.pid).rssBytes)
    .reduce((sum, bytes) => sum + bytes);
}

/** A stream whose receiver does not read. */
interface StalledStream {
  /** How many bytes the sender has written. */
  sentBytes(): number;
  /** Reads the stream to its end. */
  finish(): ReturnType<typeof countBytes>;
}

/** The data for a stalled stream, and how much of it was written. */
function stalledData(): { data: Readable; sentBytes(): number } {
  const data = seededReadable('stalled', stalledBytes);
  let sent = 0;
  data.on('data', (chunk: Buffer) => {
    sent += chunk.length;
  });
  return { data, sentBytes: () => sent };
}

/** A target that does not read, and gives its connections to the test. */
async function startUnreadTarget(t: Test): Promise<{ target: string; next(): Promise<Socket> }> {
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

async function openUnread(t: Test, client: Client): Promise<[Socket, Duplex]> {
  const { target, next } = await startUnreadTarget(t);
  return Promise.all([next(), client.open(target)]);
}

/** Starts a download of which the client reads only the first byte. */
async function stallDownload(t: Test, client: Client): Promise<StalledStream> {
  const [socket, stream] = await openUnread(t, client);
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
async function stallUpload(t: Test, client: Client): Promise<StalledStream> {
  const [socket, stream] = await openUnread(t, client);
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

const expected = { bytes: stalledBytes, sha256: seededSha256('stalled', stalledBytes) };

t.test('serves other streams while readers stall', async (t) => {
  const service = await startService(t);
  const source = await startRequestedSourceTarget();
  t.teardown(() => source.close());
  const echo = await startEchoTarget();
  t.teardown(() => echo.close());
  const clients = await Promise.all(
    clientKinds.map(async (kind) => [kind, await openClient[kind](t, service.server)] as const),
  );
  const useOtherStreams = (client: Client) =>
    transferAndEcho(client, authority(source), authority(echo));
  for (const [, client] of clients) await useOtherStreams(client);
  const memoryBefore = memoryOf(service);

  const stalled: [kind: ClientKind, what: string, stream: StalledStream][] = [];
  for (const [kind, client] of clients) {
    stalled.push([kind, 'download', await stallDownload(t, client)]);
    stalled.push([kind, 'upload', await stallUpload(t, client)]);
  }
  for (const [kind, client] of clients) {
    await useOtherStreams(client);
    t.pass(`${kind}: a bulk transfer and echoes complete beside the stalled streams`);
  }
  for (const [kind, what, { sentBytes }] of stalled) {
    const sentMib = Math.round(sentBytes() / mib);
    t.ok(sentBytes() < maxUnreadBytes, `${kind}: the stalled ${what} stops after ${sentMib} MiB`);
  }
  const growth = memoryOf(service) - memoryBefore;
  t.ok(
    growth < maxGrowthBytes,
    `memory grows no more than the windows allow: ${Math.round(growth / mib)} MiB`,
  );

  for (const [kind, what, { finish }] of stalled) {
    const report = await inTime(`the ${what} completes`, finish());
    t.same(report, expected, `${kind}: the stalled ${what} completes after it is read again`);
  }
});
