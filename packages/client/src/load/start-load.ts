import { startBulkDown, startBulkUp, startStalled } from './bulk-load.ts';
import { startEcho } from './echo-load.ts';
import type { Load, LoadOrder } from './load.ts';
import type { Meter } from './meter.ts';
import { startIdle, startOpens } from './open-load.ts';

/** Starts the load. The meter counts from its own `begin` on. */
export async function startLoad(order: LoadOrder, meter: Meter): Promise<Load> {
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
      // Imported here, because only this load needs autocannon.
      return (await import('./http-load.ts')).startHttp(order, meter);
  }
}
