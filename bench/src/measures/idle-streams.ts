import type { Role, RoleUsage } from '../process/process-group.ts';
import { type Column, type Measure, pass, type Rig, type Values } from './measure.ts';

const multiplexedStreams = 10_000;
/** With a TLS handshake each, more would take minutes and more files than a process may open. */
const separateStreams = 4_000;
const warmingStreams = 100;
const stopTimeoutMs = 60_000;
const settleStepMs = 500;
const settleSteps = 20;
const settledShare = 0.005;
/**
 * V8 collects by itself after a full collection that left a larger heap: it looks every 8 s whether
 * little is allocated, for its own speed in collecting, and no longer asks after 100 s (V8's
 * memory-reducer.cc). The one that was forced while the streams were open counts. On a quiet machine that
 * takes half a minute, on a busy one the whole time: 38 to 104 s in eight runs.
 */
const comeBackMs = 120_000;
/** Of the open streams' memory; with less left, it has come back. */
const comeBackShare = 0.02;

const kib = 1024;

const perStream = (role: Role, when: string, title: string): Column => ({
  key: `${role}-${when}`,
  title: `${role} ${title}`,
  unit: 'KiB/stream',
  better: 'lower',
});

/** What an open stream costs that carries nothing, and whether it comes back. */
export const idleStreams: Measure = {
  name: 'idle-streams',
  title: `Memory per idle open stream, ${multiplexedStreams.toLocaleString('en')} streams`,
  about:
    'Resident memory above that of the idle system, divided by the number of streams: while all ' +
    'are open; after they have closed, with one quiet stream left, when it has come back or after two ' +
    'minutes; and while as many are open again, where a leak would show as twice the first figure. ' +
    `"Collected" is after a forced garbage collection in Node's processes. Systems with a ` +
    'connection per stream open 4,000.',
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
  // Memory that an earlier round left behind would be taken for the idle system's.
  isFresh: true,
  nodeArgs: [
    '--expose-gc',
    '--import',
    new URL('../process/collect-on-signal.js', import.meta.url).href,
  ],
  excludes: (system) => (system.name === 'direct' ? 'it has no process of its own' : undefined),
  async run(rig): Promise<Values> {
    const route = rig.route('echo');
    const streams = rig.system.isMultiplexed ? multiplexedStreams : separateStreams;
    const warming = await rig.startLoad({ kind: 'idle', route, streams: warmingStreams });
    await warming.call('stop');
    await warming.close();
    const base = (await settledMemory(rig)).collected;

    const load = await rig.startLoad({ kind: 'idle', route, streams });
    const open = await settledMemory(rig);
    await load.call('stop', undefined, stopTimeoutMs);
    await load.close();

    // A process that does nothing collects nothing: some work, as there always is.
    const work = await rig.startLoad({
      kind: 'echo',
      route,
      streams: 1,
      messageBytes: 128,
      pauseMs: 200,
    });
    const closed = await comeBack(rig, base, open.resident);
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
  /** After a garbage collection; the same as `resident` for programs that are not Node. */
  readonly collected: MemoryByRole;
}

async function settledMemory(rig: Rig): Promise<Memory> {
  const resident = await settle(rig);
  if (!rig.system.isNode) return { resident, collected: resident };
  rig.signal('SIGUSR2');
  return { resident, collected: await settle(rig) };
}

/** Reads memory until what the streams took is free again, or for `comeBackMs`. */
async function comeBack(rig: Rig, base: MemoryByRole, open: MemoryByRole): Promise<MemoryByRole> {
  const until = performance.now() + comeBackMs;
  for (;;) {
    await pass(settleStepMs);
    const memory = rig.memory();
    const isBack = [...memory].every(([role, { rssBytes }]) => {
      const before = base.get(role)?.rssBytes ?? 0;
      const taken = (open.get(role)?.rssBytes ?? 0) - before;
      return rssBytes - before <= taken * comeBackShare;
    });
    if (isBack || performance.now() > until) return memory;
  }
}

/** Reads memory until it has stopped changing. */
async function settle(rig: Rig): Promise<MemoryByRole> {
  let memory = rig.memory();
  for (let step = 0; step < settleSteps; step++) {
    await pass(settleStepMs);
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
