import { failuresColumn, operationColumns, operationValues } from './columns.ts';
import { type Measure, observeLoad } from './measure.ts';

/** Streams that carry one byte each way. */
export function openClose(atOnce: number): Measure {
  return {
    name: `open-${atOnce}`,
    title: `Open, echo one byte, close, ${atOnce} streams at once`,
    about:
      'Each client opens a stream, sends one byte, waits for its echo, closes the stream in order, and ' +
      'opens the next one. The latency is the time from opening to the echo.',
    targets: ['echo'],
    columns: [...operationColumns, failuresColumn],
    charted: ['rate'],
    async run(rig) {
      const route = rig.route('echo');
      const load = await rig.startLoad({ kind: 'open', route, streams: atOnce });
      const { observation, report } = await observeLoad(rig, load);
      if (report.operations === 0) {
        throw new Error(`no stream completed. First failure: ${report.firstFailure ?? 'none'}`);
      }
      return { ...operationValues(observation, report), failures: report.failures };
    },
  };
}
