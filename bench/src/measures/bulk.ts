import {
  cpuColumns,
  cpuPerGb,
  megabytesPerSecond,
  peakColumns,
  rateColumn,
  requireNoFailures,
} from './columns.ts';
import { type LinkShape, type Measure, pass, type Rig, type Values } from './measure.ts';

export type Direction = 'up' | 'down';

/** Bulk in one direction on some streams; the receiving end counts. */
export function bulk(direction: Direction, streams: number): Measure {
  return {
    name: `bulk-${direction}-${streams}`,
    title: `Bulk ${direction}, ${streams} ${streams === 1 ? 'stream' : 'streams'}`,
    about:
      direction === 'up'
        ? 'Clients write 64 KiB at a time, the target counts what arrives.'
        : 'The target writes 64 KiB at a time, the client counts what arrives.',
    targets: [direction === 'up' ? 'sink' : 'source'],
    columns: [rateColumn, ...cpuColumns('s/GB'), ...peakColumns],
    charted: ['rate'],
    run: (rig) => runBulk(rig, direction, streams),
  };
}

/** One stream each way over a long link. */
export function bulkOverLink(link: LinkShape): Measure {
  const { roundTripMs, bytesPerSecond } = link;
  return {
    name: `link-${roundTripMs}ms`,
    title: `One stream over ${(bytesPerSecond * 8) / 1e9} Gbit/s with ${roundTripMs} ms round trip`,
    about:
      "The tunnel's leg goes through a delaying, rate-limiting proxy; first a stream up, then one down.",
    targets: ['sink', 'source'],
    columns: [
      { key: 'up', title: 'up', unit: 'MB/s', better: 'higher' },
      { key: 'down', title: 'down', unit: 'MB/s', better: 'higher' },
      ...peakColumns,
    ],
    charted: ['up', 'down'],
    link,
    async run(rig) {
      // Windows grow by round trips: what fills a loopback at once takes dozens of them here.
      const warmupMs = Math.max(rig.warmupMs, 40 * roundTripMs);
      const up = await runBulk(rig, 'up', 1, warmupMs);
      const down = await runBulk(rig, 'down', 1, warmupMs);
      return { up: up.rate!, down: down.rate! };
    },
  };
}

async function runBulk(
  rig: Rig,
  direction: Direction,
  streams: number,
  warmupMs = rig.warmupMs,
): Promise<Values> {
  const isUp = direction === 'up';
  const route = rig.route(isUp ? 'sink' : 'source');
  const load = await rig.startLoad({ kind: `bulk-${direction}`, route, streams });
  await pass(warmupMs);
  const counter = isUp ? rig.target('sink') : load;
  const seen = await rig.observe(counter, ...(isUp ? [load] : []));
  await load.close();
  requireNoFailures(...seen.reports);
  const received = seen.reports[0]!;
  return { rate: megabytesPerSecond(received), ...cpuPerGb(seen, received) };
}
