import {
  cpuColumns,
  cpuPerOperation,
  latencyColumns,
  latencyValues,
  operationColumn,
  operationsPerSecond,
  peakColumns,
  requireNoFailures,
} from './columns.ts';
import { type Measure, pass } from './measure.ts';

export const echoBytes = 128;

/** Small messages back and forth, one at a time on each stream. */
export function echo(streams: number): Measure {
  return {
    name: `echo-${streams}`,
    title: `Echo of ${echoBytes} bytes, ${streams} ${streams === 1 ? 'stream' : 'streams'}`,
    about: 'Each stream sends a message, waits until it is back, and sends the next at once.',
    targets: ['echo'],
    columns: [operationColumn, ...latencyColumns, ...cpuColumns('µs/op'), ...peakColumns],
    charted: ['rate'],
    async run(rig) {
      const load = await rig.startLoad({
        kind: 'echo',
        route: rig.route('echo'),
        streams,
        messageBytes: echoBytes,
        pauseMs: 0,
      });
      await pass(rig.warmupMs);
      const seen = await rig.observe(load);
      await load.close();
      const report = seen.reports[0]!;
      requireNoFailures(report);
      return {
        rate: operationsPerSecond(report),
        ...latencyValues(report),
        ...cpuPerOperation(seen, report),
      };
    },
  };
}
