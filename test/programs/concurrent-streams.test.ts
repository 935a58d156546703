/** 1,000 streams that are open at once: each gets all its bytes, and no others. */
import { createHash, randomBytes, randomInt } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { countBytes, eventually, startEchoTarget } from '@fairlead/testkit';
import t from 'tap';
import { authority, type Client, type ClientKind, inTime, openClient } from './clients.ts';
import { connectAgent, startServer, transports } from './fixture.ts';

const streamCount = 1_000;
const maxBytes = 128 * 1024;
const maxChunkBytes = 32 * 1024;
const maxPauseMs = 20;
/** As many concurrent dials as a busy API server has. */
const concurrentDials = 100;
/** How many of the concurrent dials each kind of client makes. A TLS handshake per stream costs most. */
const shares: Record<ClientKind, number> = {
  'HTTP/1.1 over mTLS': 10,
  'HTTP/1.1 over the UDS': 30,
  'HTTP/2 over mTLS': 30,
  'HTTP/2 over the UDS': 30,
};
const kindsOfDials = (Object.entries(shares) as [ClientKind, number][]).flatMap(([kind, share]) =>
  Array.from({ length: share }, () => kind),
);

const server = await startServer(t);

/** Sends bytes in chunks of random size; the pauses are part of the load. */
async function send(stream: Duplex, bytes: Buffer): Promise<void> {
  for (let sent = 0; sent < bytes.length; ) {
    const end = sent + randomInt(1, maxChunkBytes);
    stream.write(bytes.subarray(sent, end));
    sent = end;
    await pause(randomInt(maxPauseMs));
  }
  stream.end();
}

async function openAll(clients: Record<ClientKind, Client>, target: string): Promise<Duplex[]> {
  const streams: Duplex[] = [];
  while (streams.length < streamCount) {
    const opening = kindsOfDials.map((kind) => clients[kind].open(target));
    streams.push(...(await inTime('the streams are open', Promise.all(opening))));
  }
  return streams;
}

for (const transport of transports) {
  t.test(`carries 1,000 streams at once without mixing bytes, ${transport}`, async (t) => {
    await connectAgent(t, server, { transport });
    const target = await startEchoTarget();
    t.teardown(() => target.close());
    const clients = {
      'HTTP/1.1 over mTLS': openClient['HTTP/1.1 over mTLS'](t, server),
      'HTTP/1.1 over the UDS': openClient['HTTP/1.1 over the UDS'](t, server),
      'HTTP/2 over mTLS': await openClient['HTTP/2 over mTLS'](t, server),
      'HTTP/2 over the UDS': await openClient['HTTP/2 over the UDS'](t, server),
    };

    const streams = await openAll(clients, authority(target));
    // The kernel completes the handshake before the target accepts the connection.
    await eventually('all connections are open before the first byte', () => {
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
          failures.push(
            `${kindsOfDials[at % concurrentDials]}: ${report.bytes} of ${bytes.length}`,
          );
        }
      }),
    );
    t.same(failures, []);
    t.comment(`${Math.round(echoedBytes / 1024 ** 2)} MiB echoed`);
  });
}
