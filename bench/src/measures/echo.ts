import { operationColumns, operationValues, requireNoFailures } from './columns.ts';
import { type Measure, observeLoad } from './measure.ts';

export const echoBytes = 128;

/** Each stream carries small messages back and forth, one at a time. */
export function echo(streams: number): Measure {
  return {
    name: `echo-${streams}`,
    title: `Echo of ${echoBytes} bytes, ${streams} ${streams === 1 ? 'stream' : 'streams'}`,
    about: 'Each stream sends a message, waits for its echo, and sends the next one at once.',
    targets: ['echo'],
    columns: operationColumns,
    charted: ['rate'],
    async run(rig) {
      const load = await rig.startLoad({
        kind: 'echo',
        route: rig.route('echo'),
        streams,
        messageBytes: echoBytes,
        pauseMs: 0,
      });
      const { observation, report } = await observeLoad(rig, load);
      requireNoFailures(report);
      return operationValues(observation, report);
    },
  };
}
