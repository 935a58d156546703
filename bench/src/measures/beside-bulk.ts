import { setTimeout as sleep } from 'node:timers/promises';
import type { Direction } from './bulk.ts';
import { megabytesPerSecond, peakColumns, requireNoFailures } from './columns.ts';
import { echoBytes } from './echo.ts';
import type { Column, LinkShape, Measure, Rig, Values } from './measure.ts';

const columns: readonly Column[] = [
  { key: 'idle-p50', title: 'idle p50', unit: 'µs', better: 'lower' },
  { key: 'idle-p99', title: 'idle p99', unit: 'µs', better: 'lower' },
  { key: 'p50', title: 'p50 during bulk', unit: 'µs', better: 'lower' },
  { key: 'p99', title: 'p99 during bulk', unit: 'µs', better: 'lower' },
  { key: 'ratio', title: 'p99 / idle p99', unit: '', better: 'lower' },
  { key: 'bulk', title: 'bulk', unit: 'MB/s', better: 'higher' },
  ...peakColumns,
];

/** Echo latency during a bulk transfer in the same tunnel, on loopback. */
export function echoBesideBulk(direction: Direction): Measure {
  return {
    name: `echo-beside-bulk-${direction}`,
    title: `Echo latency during a bulk transfer ${direction}`,
    about:
      `4 streams echo ${echoBytes} bytes with a pause of 4 ms. They run alone first, then while one ` +
      `other stream transfers bulk ${direction} at full speed. Each load has its own process.`,
    targets: ['echo', direction === 'up' ? 'sink' : 'source'],
    columns,
    charted: ['idle-p99', 'p99'],
    run: (rig) => runBeside(rig, { direction, streams: 4, pauseMs: 4, warmupMs: rig.warmupMs }),
  };
}

/** The same on a slow link. Unless the tunnel limits bytes in flight, bulk queues for seconds there. */
export function echoBesideBulkOverLink(direction: Direction, link: LinkShape): Measure {
  const megabits = (link.bytesPerSecond * 8) / 1e6;
  return {
    name: `slow-link-echo-${direction}`,
    title: `Echo latency during a bulk transfer ${direction}, ${megabits} Mbit/s with ${link.roundTripMs} ms round trip`,
    about:
      `20 streams echo ${echoBytes} bytes with a pause of 20 ms. They run alone first, then while one ` +
      `other stream transfers bulk ${direction}.`,
    targets: ['echo', direction === 'up' ? 'sink' : 'source'],
    columns,
    charted: ['idle-p99', 'p99'],
    link,
    excludes: (system) =>
      system.isMultiplexed ? undefined : 'its streams do not share a connection',
    run: (rig) =>
      runBeside(rig, {
        direction,
        streams: 20,
        pauseMs: 20,
        warmupMs: Math.max(rig.warmupMs, 60 * link.roundTripMs),
      }),
  };
}

interface BesideShape {
  readonly direction: Direction;
  readonly streams: number;
  readonly pauseMs: number;
  readonly warmupMs: number;
}

async function runBeside(rig: Rig, shape: BesideShape): Promise<Values> {
  const { direction, streams, pauseMs, warmupMs } = shape;
  const isUp = direction === 'up';
  const bulkTarget = isUp ? 'sink' : 'source';
  const echo = await rig.startLoad({
    kind: 'echo',
    route: rig.route('echo'),
    streams,
    messageBytes: echoBytes,
    pauseMs,
  });
  await sleep(rig.warmupMs);
  const alone = (await rig.observe(echo)).reports[0]!;
  const bulk = await rig.startLoad({
    kind: `bulk-${direction}`,
    route: rig.route(bulkTarget),
    streams: 1,
  });
  await sleep(warmupMs);
  const seen = await rig.observe(echo, isUp ? rig.target('sink') : bulk);
  await Promise.all([echo.close(), bulk.close()]);
  const [beside, moved] = seen.reports;
  requireNoFailures(alone, beside!, moved!);
  return {
    'idle-p50': alone.p50Us,
    'idle-p99': alone.p99Us,
    p50: beside!.p50Us,
    p99: beside!.p99Us,
    ratio: beside!.p99Us / alone.p99Us,
    bulk: megabytesPerSecond(moved!),
  };
}
