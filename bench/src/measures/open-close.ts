import {
  cpuColumns,
  cpuPerOperation,
  latencyColumns,
  latencyValues,
  operationColumn,
  operationsPerSecond,
  peakColumns,
} from './columns.ts';
import { type Measure, pass } from './measure.ts';

/** Streams that live for one byte. */
export function openClose(atOnce: number): Measure {
  return {
    name: `open-${atOnce}`,
    title: `Open, one byte, close, ${atOnce} at once`,
    about:
      'A stream is opened, one byte goes to the target and back, the stream is closed in order, ' +
      'and the next begins. The latency ends with the byte.',
    targets: ['echo'],
    columns: [
      operationColumn,
      ...latencyColumns,
      ...cpuColumns('µs/op'),
      ...peakColumns,
      { key: 'failures', title: 'failures', unit: '', better: 'lower' },
    ],
    charted: ['rate'],
    async run(rig) {
      const load = await rig.startLoad({
        kind: 'open',
        route: rig.route('echo'),
        streams: atOnce,
      });
      await pass(rig.warmupMs);
      const seen = await rig.observe(load);
      await load.close();
      const report = seen.reports[0]!;
      if (report.operations === 0) {
        throw new Error(`no stream came to its end: ${report.firstFailure ?? 'no failure either'}`);
      }
      return {
        rate: operationsPerSecond(report),
        ...latencyValues(report),
        ...cpuPerOperation(seen, report),
        failures: report.failures,
      };
    },
  };
}
