import type { Direction } from './bulk.ts';
import { megabytesPerSecond, peakColumns, requireNoFailures } from './columns.ts';
import { echoBytes } from './echo.ts';
import {
  type Column,
  type LinkShape,
  type Measure,
  pass,
  type Rig,
  type Values,
} from './measure.ts';

const columns: readonly Column[] = [
  { key: 'idle-p50', title: 'idle p50', unit: 'µs', better: 'lower' },
  { key: 'idle-p99', title: 'idle p99', unit: 'µs', better: 'lower' },
  { key: 'p50', title: 'p50 beside bulk', unit: 'µs', better: 'lower' },
  { key: 'p99', title: 'p99 beside bulk', unit: 'µs', better: 'lower' },
  { key: 'ratio', title: 'p99 / idle p99', unit: '', better: 'lower' },
  { key: 'bulk', title: 'bulk', unit: 'MB/s', better: 'higher' },
  ...peakColumns,
];

/** Keystrokes while a bulk transfer runs on the same tunnel, on loopback. */
export function echoBesideBulk(direction: Direction): Measure {
  return {
    name: `echo-beside-bulk-${direction}`,
    title: `Keystrokes beside a bulk transfer ${direction}`,
    about:
      `4 streams echo ${echoBytes} bytes with a pause of 4 ms, first alone and then while one ` +
      `stream carries bulk ${direction} as fast as it goes. Both loads are processes of their own.`,
    targets: ['echo', direction === 'up' ? 'sink' : 'source'],
    columns,
    charted: ['idle-p99', 'p99'],
    run: (rig) => runBeside(rig, { direction, streams: 4, pauseMs: 4, warmupMs: rig.warmupMs }),
  };
}

/** The same on a thin link, where the queue of the bulk transfer is seconds long unless the tunnel limits it. */
export function echoBesideBulkOverLink(direction: Direction, link: LinkShape): Measure {
  const megabits = (link.bytesPerSecond * 8) / 1e6;
  return {
    name: `slow-link-echo-${direction}`,
    title: `Keystrokes beside a bulk transfer ${direction}, ${megabits} Mbit/s with ${link.roundTripMs} ms round trip`,
    about:
      `20 streams echo ${echoBytes} bytes with a pause of 20 ms, first alone and then while one ` +
      `stream carries bulk ${direction}.`,
    targets: ['echo', direction === 'up' ? 'sink' : 'source'],
    columns,
    charted: ['idle-p99', 'p99'],
    link,
    excludes: (system) =>
      system.isMultiplexed ? undefined : 'its streams share no connection to crowd',
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
  await pass(rig.warmupMs);
  const alone = (await rig.observe(echo)).reports[0]!;
  const bulk = await rig.startLoad({
    kind: `bulk-${direction}`,
    route: rig.route(bulkTarget),
    streams: 1,
  });
  await pass(warmupMs);
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
