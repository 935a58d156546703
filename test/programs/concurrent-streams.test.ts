/** Streams that get each other's bytes, or none, when 1,000 are open at once. */
import { createHash, randomBytes, randomInt } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { countBytes, eventually, startEchoTarget } from '@fairlead/testkit';
import t from 'tap';
import { authority, type Client, inTime, type WayIn, waysIn } from './clients.ts';
import { joinAgent, startServer, transports } from './fixture.ts';

const streamCount = 1_000;
const maxBytes = 64 * 1024;
const maxChunkBytes = 16 * 1024;
const maxPauseMs = 20;
/** As many dials under way at once as a busy API server has. */
const dialsAtOnce = 100;
/** How many of the dials at once take each way. A TLS handshake for each stream is what costs most. */
const shares: Record<WayIn, number> = {
  'HTTP/1.1 over mTLS': 10,
  'HTTP/1.1 over the UDS': 30,
  'HTTP/2 over mTLS': 30,
  'HTTP/2 over the UDS': 30,
};
const waysOfDials = (Object.entries(shares) as [WayIn, number][]).flatMap(([way, share]) =>
  Array.from({ length: share }, () => way),
);

const server = await startServer(t);

/** Sends bytes in pieces of random size; the pauses are part of the load. */
async function send(stream: Duplex, bytes: Buffer): Promise<void> {
  for (let sent = 0; sent < bytes.length; ) {
    const end = sent + randomInt(1, maxChunkBytes);
    stream.write(bytes.subarray(sent, end));
    sent = end;
    await pause(randomInt(maxPauseMs));
  }
  stream.end();
}

async function openAll(clients: Record<WayIn, Client>, target: string): Promise<Duplex[]> {
  const streams: Duplex[] = [];
  while (streams.length < streamCount) {
    const opening = waysOfDials.map((way) => clients[way].open(target));
    streams.push(...(await inTime('the streams are open', Promise.all(opening))));
  }
  return streams;
}

for (const transport of transports) {
  t.test(`1,000 streams at once through a ${transport} tunnel`, async (t) => {
    await joinAgent(t, server, { transport });
    const target = await startEchoTarget();
    t.teardown(() => target.close());
    const clients = {
      'HTTP/1.1 over mTLS': waysIn['HTTP/1.1 over mTLS'](t, server),
      'HTTP/1.1 over the UDS': waysIn['HTTP/1.1 over the UDS'](t, server),
      'HTTP/2 over mTLS': await waysIn['HTTP/2 over mTLS'](t, server),
      'HTTP/2 over the UDS': await waysIn['HTTP/2 over the UDS'](t, server),
    };

    const streams = await openAll(clients, authority(target));
    // The kernel answers for the target, which may accept the connection a little later.
    await eventually('all are open before the first byte', () => {
      return target.openConnections === streamCount;
    });

    const failures: string[] = [];
    let echoedBytes = 0;
    await Promise.all(
      streams.map(async (stream, at) => {
        const bytes = randomBytes(randomInt(maxBytes));
        const [report] = await Promise.all([countBytes(stream), send(stream, bytes)]);
        echoedBytes += report.bytes;
        if (report.sha256 !== createHash('sha256').update(bytes).digest('hex')) {
          failures.push(`${waysOfDials[at % dialsAtOnce]}: ${report.bytes} of ${bytes.length}`);
        }
      }),
    );
    t.same(failures, []);
    t.comment(`${Math.round(echoedBytes / 1024 ** 2)} MiB echoed`);
  });
}
