/** The load generator: a process that carries out one order (load.ts) and counts. */
import { serveCalls } from '../process/calls.ts';
import { startBulkDown, startBulkUp, startStalled } from './bulk-load.ts';
import { startEcho } from './echo-load.ts';
import { startHttp } from './http-load.ts';
import type { Load, LoadOrder } from './load.ts';
import { Meter } from './meter.ts';
import { startIdle, startOpens } from './open-load.ts';

const meter = new Meter();
let load: Load | undefined;

serveCalls({
  async start(order: LoadOrder) {
    load = startLoad(order);
    await load.running;
  },
  begin: () => meter.begin(),
  end: () => meter.end(),
  stop: () => load?.stop(),
});

function startLoad(order: LoadOrder): Load {
  switch (order.kind) {
    case 'bulk-up':
      return startBulkUp(order, meter);
    case 'bulk-down':
      return startBulkDown(order, meter);
    case 'stalled':
      return startStalled(order, meter);
    case 'echo':
      return startEcho(order, meter);
    case 'open':
      return startOpens(order, meter);
    case 'idle':
      return startIdle(order, meter);
    case 'http':
      return startHttp(order, meter);
  }
}
