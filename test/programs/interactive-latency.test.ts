/**
 * A bulk transfer fills a slow link between agent and server: keystrokes on another stream stay fast, and
 * PINGs arrive in time.
 */
import type { Duplex } from 'node:stream';
import {
  countBytes,
  readSinkReport,
  type SlowLink,
  seededReadable,
  sourceRequest,
  startEchoTarget,
  startRequestedSourceTarget,
  startSinkTarget,
  startSlowLink,
} from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { authority, type Client, http1Client, readBytes } from './clients.ts';
import {
  linesOf,
  loopback,
  type RunningAgent,
  type RunningServer,
  startAgent,
  startServer,
  type TransportName,
  transports,
  untilAgentsConnected,
} from './fixture.ts';

const bytesPerSecond = 1_250_000;
const delayMs = 25;
const roundTripMs = 2 * delayMs;
/** Takes about five seconds on the link. */
const bulkBytes = 6_000_000;

/** An agent behind its own slow link. */
interface DistantAgent {
  readonly link: SlowLink;
  readonly agent: RunningAgent;
}

/** Starts an agent that serves one spelling of the loopback address: the target's spelling selects the agent. */
async function startDistantAgent(
  t: Test,
  server: RunningServer,
  transport: TransportName,
  host: string,
): Promise<DistantAgent> {
  const to = { host: loopback, port: server.agentPort };
  const link = await startSlowLink({ to, delayMs, bytesPerSecond });
  t.teardown(() => link.close());
  const agent = await startAgent(t, link.port, {
    transport,
    'agent-id': host,
    'agent-identifiers': `host=${host}`,
    // PINGs are frequent, and none times out because the machine is busy: simulated-links.test.ts has a timeout of 1 s.
    'ping-interval': '500ms',
    'ping-timeout': '30s',
  });
  return { link, agent };
}

/**
 * Sends one key after the other until `done`. @returns the round trip times, sorted
 * @param onKey called before each key
 */
async function type(
  echo: Duplex,
  done: Promise<unknown>,
  onKey = (): void => {},
): Promise<number[]> {
  let isDone = false;
  const onDone = () => {
    isDone = true;
  };
  done.then(onDone, onDone);
  const delaysMs: number[] = [];
  while (!isDone) {
    onKey();
    const startedAtMs = performance.now();
    echo.write('k');
    await readBytes(echo, 1);
    delaysMs.push(performance.now() - startedAtMs);
  }
  return delaysMs.sort((one, other) => one - other);
}

function percentile(sorted: readonly number[], share: number): number {
  return Math.round(sorted[Math.floor(sorted.length * share)]!);
}

function describe(sorted: readonly number[]): string {
  const [median, p95, worst] = [0.5, 0.95, 0.999].map((share) => percentile(sorted, share));
  return `${sorted.length} echoes, median ${median} ms, p95 ${p95} ms, worst ${worst} ms`;
}

type Bulk = (t: Test, client: Client) => Promise<number>;

const bulks: Record<string, Bulk> = {
  async 'a download'(t, client) {
    const source = await startRequestedSourceTarget();
    t.teardown(() => source.close());
    const stream = await client.open(authority(source));
    stream.end(sourceRequest(bulkBytes));
    return (await countBytes(stream)).bytes;
  },
  async 'an upload'(t, client) {
    const sink = await startSinkTarget();
    t.teardown(() => sink.close());
    const stream = await client.open(authority(sink));
    seededReadable('upload', bulkBytes).pipe(stream);
    return (await readSinkReport(stream)).bytes;
  },
};

/** How many bytes are on the link, one way, if it is never idle. */
const linkBytes = (bytesPerSecond * delayMs) / 1000;

for (const transport of transports) {
  t.test(`at 10 Mbit/s and ${delayMs} ms each way, ${transport}`, async (t) => {
    const server = await startServer(t, { 'proxy-strategies': 'destHost' });
    // Echoes in an idle tunnel over the same kind of link show what a busy machine adds.
    const [busy, idle] = await Promise.all(
      [loopback, 'localhost'].map((host) => startDistantAgent(t, server, transport, host)),
    );
    await untilAgentsConnected(server, 2);
    const client = http1Client(t, server.uds);
    const target = await startEchoTarget();
    t.teardown(() => target.close());
    const echo = await client.open(authority(target));
    const control = await client.open(`localhost:${target.port}`);

    for (const [name, bulk] of Object.entries(bulks)) {
      await t.test(`keystrokes stay fast beside ${name}`, async (t) => {
        const heldBytes: number[] = [];
        const transfer = bulk(t, client);
        const [busyDelaysMs, idleDelaysMs] = await Promise.all([
          type(echo, transfer, () => heldBytes.push(busy!.link.heldBytes)),
          type(control, transfer),
        ]);
        t.equal(await transfer, bulkBytes, 'the bulk transfer is complete');
        t.comment(
          `${transport}, ${name}: ${describe(busyDelaysMs)}; in an idle tunnel: ${describe(idleDelaysMs)}`,
        );
        const median = percentile(busyDelaysMs, 0.5);
        t.ok(median >= roundTripMs, 'the median includes the delay of the link');
        heldBytes.sort((one, other) => one - other);
        const held = percentile(heldBytes, 0.5);
        t.ok(held > 0.6 * linkBytes, `the bulk transfer fills the link: it holds ${held} bytes`);
        const maxMedianMs = 2 * percentile(idleDelaysMs, 0.5) + 50;
        t.ok(median < maxMedianMs, `the median, ${median} ms, is below ${maxMedianMs} ms`);
        const p95 = percentile(busyDelaysMs, 0.95);
        const maxP95Ms = 2 * percentile(idleDelaysMs, 0.95) + 50;
        t.ok(p95 < maxP95Ms, `the 95th percentile, ${p95} ms, is below ${maxP95Ms} ms`);
      });
    }
    for (const { agent } of [busy!, idle!]) {
      t.equal(linesOf(agent.process, 'disconnected').length, 0, 'the tunnel stays up');
    }
    t.equal(linesOf(server.process, 'agent connected').length, 2);
  });
}
