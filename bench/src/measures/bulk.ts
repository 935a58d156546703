import { setTimeout as sleep } from 'node:timers/promises';
import {
  cpuColumns,
  cpuPerGb,
  megabytesPerSecond,
  peakColumns,
  rateColumn,
  requireNoFailures,
} from './columns.ts';
import type { LinkShape, Measure, Rig, Values } from './measure.ts';

export type Direction = 'up' | 'down';

/** Bulk transfer in one direction. The receiver counts bytes. */
export function bulk(direction: Direction, streams: number): Measure {
  return {
    name: `bulk-${direction}-${streams}`,
    title: `Bulk ${direction}, ${streams} ${streams === 1 ? 'stream' : 'streams'}`,
    about:
      direction === 'up'
        ? 'Clients write 64 KiB at a time. The target counts the bytes that it receives.'
        : 'The target writes 64 KiB at a time. The client counts the bytes that it receives.',
    targets: [direction === 'up' ? 'sink' : 'source'],
    columns: [rateColumn, ...cpuColumns('s/GB'), ...peakColumns],
    charted: ['rate'],
    run: (rig) => runBulk(rig, direction, streams),
  };
}

/** One stream up, then one stream down, over a link with a long round trip. */
export function bulkOverLink(link: LinkShape): Measure {
  const { roundTripMs, bytesPerSecond } = link;
  return {
    name: `link-${roundTripMs}ms`,
    title: `One stream over ${(bytesPerSecond * 8) / 1e9} Gbit/s with ${roundTripMs} ms round trip`,
    about:
      'A proxy between server and agent delays bytes and limits their rate. One stream runs up, then one down.',
    targets: ['sink', 'source'],
    columns: [
      { key: 'up', title: 'up', unit: 'MB/s', better: 'higher' },
      { key: 'down', title: 'down', unit: 'MB/s', better: 'higher' },
      ...peakColumns,
    ],
    charted: ['up', 'down'],
    link,
    async run(rig) {
      // A window needs dozens of round trips to grow to the size that this link needs.
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
  await sleep(warmupMs);
  const counter = isUp ? rig.target('sink') : load;
  const seen = await rig.observe(counter, ...(isUp ? [load] : []));
  await load.close();
  requireNoFailures(...seen.reports);
  const received = seen.reports[0]!;
  return { rate: megabytesPerSecond(received), ...cpuPerGb(seen, received) };
}
