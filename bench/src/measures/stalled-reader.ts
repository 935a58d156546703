import { setTimeout as sleep } from 'node:timers/promises';
import { type LoadOrder, Meter, type MeterReport } from '@fairlead/client/load';
import { megabytesPerSecond, operationsPerSecond, peakColumns } from './columns.ts';
import { echoBytes } from './echo.ts';
import { type Measure, observeLoad, type Rig, type Values } from './measure.ts';

/** The time in which the stalled stream fills all buffers on its path. */
const fillMs = 1_000;
/** New streams that carry no data within this time count as blocked. */
const startTimeoutMs = 5_000;

const blocked: MeterReport = { ...new Meter().end(), elapsedMs: 1 };

/** Healthy streams before and while a client does not read another stream of the same agent. */
export const stalledReader: Measure = {
  name: 'stalled-reader',
  title: 'Healthy streams beside one stalled reader',
  about:
    'Bulk down on 4 streams and then echo on 50 streams run alone. Then a client reads the first bytes of ' +
    'another stream and stops reading, and both run again. 0 means that new streams carried no data. ' +
    'A ratio is the median of the ratios of all rounds, not the ratio of the medians.',
  targets: ['source', 'echo'],
  columns: [
    { key: 'bulk-before', title: 'bulk before', unit: 'MB/s', better: 'higher' },
    { key: 'bulk-beside', title: 'bulk beside', unit: 'MB/s', better: 'higher' },
    { key: 'bulk-ratio', title: 'ratio', unit: '', better: 'higher' },
    { key: 'echo-before', title: 'echo before', unit: '/s', better: 'higher' },
    { key: 'echo-beside', title: 'echo beside', unit: '/s', better: 'higher' },
    { key: 'echo-ratio', title: 'ratio', unit: '', better: 'higher' },
    { key: 'p99-before', title: 'p99 before', unit: 'µs', better: 'lower' },
    { key: 'p99-beside', title: 'p99 beside', unit: 'µs', better: 'lower' },
    { key: 'p99-ratio', title: 'ratio', unit: '', better: 'lower' },
    ...peakColumns,
  ],
  charted: ['bulk-ratio', 'echo-ratio'],
  async run(rig): Promise<Values> {
    const before = await measureHealthy(rig);
    const stalled = await rig.startLoad({
      kind: 'stalled',
      route: rig.route('source'),
      streams: 1,
    });
    await sleep(fillMs);
    const beside = await measureHealthy(rig);
    await stalled.close();
    const bulk = [before.bulk, beside.bulk].map(megabytesPerSecond) as [number, number];
    const echo = [before.echo, beside.echo].map(operationsPerSecond) as [number, number];
    return {
      'bulk-before': bulk[0],
      'bulk-beside': bulk[1],
      'bulk-ratio': bulk[1] / bulk[0],
      'echo-before': echo[0],
      'echo-beside': echo[1],
      'echo-ratio': echo[1] / echo[0],
      'p99-before': before.echo.p99Us,
      'p99-beside': beside.echo.p99Us,
      'p99-ratio': beside.echo.p99Us / before.echo.p99Us,
    };
  },
};

async function measureHealthy(rig: Rig): Promise<{ bulk: MeterReport; echo: MeterReport }> {
  const bulk = await measureLoad(rig, {
    kind: 'bulk-down',
    route: rig.route('source'),
    streams: 4,
  });
  const echo = await measureLoad(rig, {
    kind: 'echo',
    route: rig.route('echo'),
    streams: 50,
    messageBytes: echoBytes,
    pauseMs: 0,
  });
  return { bulk, echo };
}

/** A load that cannot start is a result of this measure, not a failed round. */
async function measureLoad(rig: Rig, order: LoadOrder): Promise<MeterReport> {
  const load = await rig.startLoad(order, startTimeoutMs).catch(() => undefined);
  return load ? (await observeLoad(rig, load)).report : blocked;
}
