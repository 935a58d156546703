/** Bulk transfers in each direction arrive complete and unchanged. */
import type { Duplex } from 'node:stream';
import {
  type ByteReport,
  countBytes,
  readSinkReport,
  seededReadable,
  seededSha256,
  sourceRequest,
  startRequestedSourceTarget,
  startSinkTarget,
} from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { authority, type Client, clientKinds, openClient } from './clients.ts';
import { connectAgent, startServer, transports } from './fixture.ts';

const mib = 1024 ** 2;
/** More than the largest window of a stream, 16 MiB, so credit must be granted many times. */
const bulkBytes = 64 * mib;
/** Many windows, to find errors that appear only when windows, TLS keys or buffers are reused. */
const longBytes = 1024 * mib;

const server = await startServer(t);

interface Targets {
  readonly source: string;
  readonly sink: string;
}

async function startTargets(t: Test): Promise<Targets> {
  const source = await startRequestedSourceTarget();
  t.teardown(() => source.close());
  const sink = await startSinkTarget();
  t.teardown(() => sink.close());
  return { source: authority(source), sink: authority(sink) };
}

async function download(
  client: Client,
  target: string,
  bytes: number,
  seed: string,
): Promise<ByteReport> {
  const stream = await client.open(target);
  stream.end(sourceRequest(bytes, seed));
  return countBytes(stream);
}

async function upload(
  client: Client,
  target: string,
  bytes: number,
  seed: string,
): Promise<ByteReport> {
  const stream: Duplex = await client.open(target);
  seededReadable(seed, bytes).pipe(stream);
  return readSinkReport(stream);
}

for (const transport of transports) {
  t.test(`carries more than a window in each direction, ${transport}`, async (t) => {
    await connectAgent(t, server, { transport });
    const targets = await startTargets(t);
    const bytes = bulkBytes;
    for (const kind of clientKinds) {
      await t.test(kind, async (t) => {
        const client = await openClient[kind](t, server);
        const expected = { bytes, sha256: seededSha256('bulk', bytes) };
        t.same(await download(client, targets.source, bytes, 'bulk'), expected, 'from the target');
        t.same(await upload(client, targets.sink, bytes, 'bulk'), expected, 'to the target');
      });
    }
  });
}

t.test('carries 1 GiB in both directions at once', async (t) => {
  await connectAgent(t, server, { transport: 'tls' });
  const targets = await startTargets(t);
  const bytes = longBytes;
  const client = await openClient['HTTP/1.1 over mTLS'](t, server);
  const [down, up] = await Promise.all([
    download(client, targets.source, bytes, 'down'),
    upload(client, targets.sink, bytes, 'up'),
  ]);
  t.same(down, { bytes, sha256: seededSha256('down', bytes) }, 'from the target');
  t.same(up, { bytes, sha256: seededSha256('up', bytes) }, 'to the target');
});
