import { type LoadOrder, Meter, type MeterReport } from '@fairlead/client/load';
import { megabytesPerSecond, operationsPerSecond, peakColumns } from './columns.ts';
import { echoBytes } from './echo.ts';
import { type Measure, pass, type Rig, type Values } from './measure.ts';

/** How long the stalled stream has to fill every buffer on its way. */
const fillMs = 1_000;
/** New streams that carry nothing after this long count as stopped. */
const startTimeoutMs = 5_000;

const nothing: MeterReport = { ...new Meter().end(), elapsedMs: 1 };

/** Healthy streams before and while another stream of the same agent is not read. */
export const stalledReader: Measure = {
  name: 'stalled-reader',
  title: 'Healthy streams beside one stalled reader',
  about:
    'Bulk down on 4 streams, then echo on 50, are measured alone; then a client reads the first ' +
    'bytes of another stream and no more, and both are measured again. 0 means that new streams ' +
    'did not come to carry data. A ratio is the median of the ratios of each round, not the ratio ' +
    'of the medians beside it.',
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
    await pass(fillMs);
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

/** A load that does not come to run is a result here, not a failure of the bench. */
async function measureLoad(rig: Rig, order: LoadOrder): Promise<MeterReport> {
  const load = await rig.startLoad(order, startTimeoutMs).catch(() => undefined);
  if (!load) return nothing;
  await pass(rig.warmupMs);
  const { reports } = await rig.observe(load);
  await load.close();
  return reports[0]!;
}
