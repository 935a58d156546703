import { setTimeout as sleep } from 'node:timers/promises';
import type { Role, RoleUsage } from '../process/process-group.ts';
import type { Column, Measure, Rig, Values } from './measure.ts';

const multiplexedStreams = 10_000;
/** Each of these streams needs a TLS handshake and a file descriptor. More would take minutes and exceed limits. */
const separateStreams = 4_000;
const warmupStreams = 100;
const stopTimeoutMs = 60_000;
const settleStepMs = 500;
const settleSteps = 20;
const settledShare = 0.005;
/**
 * After a full collection, V8's memory reducer (memory-reducer.cc) checks every 8 s whether the process allocates
 * little, and then collects again. After 100 s it collects without this check. The collection that this measure forces
 * while the streams are open starts it. In eight runs, memory was free after 38 to 104 s.
 */
const releaseTimeoutMs = 120_000;
/** Memory counts as released if at most this share of the open streams' memory is left. */
const releasedShare = 0.02;

const kib = 1024;

const perStream = (role: Role, when: string, title: string): Column => ({
  key: `${role}-${when}`,
  title: `${role} ${title}`,
  unit: 'KiB/stream',
  better: 'lower',
});

/** The memory of idle streams, and whether processes release it after the streams close. */
export const idleStreams: Measure = {
  name: 'idle-streams',
  title: `Memory per idle open stream, ${multiplexedStreams.toLocaleString('en')} streams`,
  about:
    'Growth of resident memory over the idle system, divided by the number of streams. "open": all streams are ' +
    'open. "collected": the same after a forced garbage collection in Node processes. "after closing": all ' +
    'streams are closed and one slow echo stream runs, until the memory is released, for at most two minutes. ' +
    '"open again": the same number of streams is open again; a leak would double the first figure. Systems ' +
    'with a connection per stream open 4,000 streams.',
  targets: ['echo'],
  columns: [
    { key: 'streams', title: 'streams', unit: '', better: 'higher' },
    perStream('server', 'open', 'open'),
    perStream('agent', 'open', 'open'),
    perStream('server', 'open-collected', 'open, collected'),
    perStream('agent', 'open-collected', 'open, collected'),
    perStream('server', 'closed', 'after closing'),
    perStream('agent', 'closed', 'after closing'),
    perStream('server', 'again', 'open again'),
    perStream('agent', 'again', 'open again'),
  ],
  charted: ['server-open', 'agent-open'],
  // Memory that an earlier round did not release would count as the idle system's.
  isFresh: true,
  nodeArgs: [
    '--expose-gc',
    '--import',
    new URL('../process/collect-on-signal.js', import.meta.url).href,
  ],
  excludes: (system) => (system.name === 'direct' ? 'it has no processes' : undefined),
  async run(rig): Promise<Values> {
    const route = rig.route('echo');
    const streams = rig.system.isMultiplexed ? multiplexedStreams : separateStreams;
    const warmup = await rig.startLoad({ kind: 'idle', route, streams: warmupStreams });
    await warmup.call('stop');
    await warmup.close();
    const base = (await settledMemory(rig)).collected;

    const load = await rig.startLoad({ kind: 'idle', route, streams });
    const open = await settledMemory(rig);
    await load.call('stop', undefined, stopTimeoutMs);
    await load.close();

    // An idle process does not collect garbage. A real one always has some work.
    const work = await rig.startLoad({
      kind: 'echo',
      route,
      streams: 1,
      messageBytes: 128,
      pauseMs: 200,
    });
    const closed = await waitForRelease(rig, base, open.resident);
    await work.close();

    const secondLoad = await rig.startLoad({ kind: 'idle', route, streams });
    const again = await settle(rig);
    await secondLoad.call('stop', undefined, stopTimeoutMs);

    const values: Record<string, number> = { streams };
    for (const [when, memory] of [
      ['open', open.resident],
      ['open-collected', open.collected],
      ['closed', closed],
      ['again', again],
    ] as const) {
      for (const [role, { rssBytes }] of memory) {
        values[`${role}-${when}`] = (rssBytes - (base.get(role)?.rssBytes ?? 0)) / kib / streams;
      }
    }
    return values;
  },
};

type MemoryByRole = ReadonlyMap<Role, RoleUsage>;

interface Memory {
  readonly resident: MemoryByRole;
  /** After a garbage collection. For programs that do not run in Node, the same as `resident`. */
  readonly collected: MemoryByRole;
}

async function settledMemory(rig: Rig): Promise<Memory> {
  const resident = await settle(rig);
  if (!rig.system.isNode) return { resident, collected: resident };
  rig.signal('SIGUSR2');
  return { resident, collected: await settle(rig) };
}

/** Reads memory until the streams' memory is released, for at most `releaseTimeoutMs`. */
async function waitForRelease(
  rig: Rig,
  base: MemoryByRole,
  open: MemoryByRole,
): Promise<MemoryByRole> {
  const until = performance.now() + releaseTimeoutMs;
  for (;;) {
    await sleep(settleStepMs);
    const memory = rig.memory();
    const isReleased = [...memory].every(([role, { rssBytes }]) => {
      const before = base.get(role)?.rssBytes ?? 0;
      const taken = (open.get(role)?.rssBytes ?? 0) - before;
      return rssBytes - before <= taken * releasedShare;
    });
    if (isReleased || performance.now() > until) return memory;
  }
}

/** Reads memory until it stops changing. */
async function settle(rig: Rig): Promise<MemoryByRole> {
  let memory = rig.memory();
  for (let step = 0; step < settleSteps; step++) {
    await sleep(settleStepMs);
    const before = memory;
    memory = rig.memory();
    const isSettled = [...memory].every(([role, { rssBytes }]) => {
      const earlier = before.get(role)?.rssBytes ?? 0;
      return Math.abs(rssBytes - earlier) <= earlier * settledShare;
    });
    if (isSettled) break;
  }
  return memory;
}
