/** A load generator: a process that runs one load and counts. */
import { type Load, type LoadOrder, Meter, startLoad } from '@fairlead/client/load';
import { serveCalls } from '../process/calls.ts';

const meter = new Meter();
let load: Load | undefined;

serveCalls({
  async start(order: LoadOrder) {
    load = await startLoad(order, meter);
    await load.running;
  },
  begin: () => meter.begin(),
  end: () => meter.end(),
  stop: () => load?.stop(),
});
