import { randomBytes } from 'node:crypto';
import type { BulkLoadOrder, Load } from './load.ts';
import type { Meter } from './meter.ts';
import { StreamSlots } from './stream-slots.ts';

const defaultWriteBytes = 65_536;
/** Makes a source begin. */
const request = Buffer.from('x');

/** Writes to sinks, and counts what the connections took: the last of it may still be under way. */
export function startBulkUp(order: BulkLoadOrder, meter: Meter): Load {
  // Not zeros: a peer that compresses would look better than it is.
  const chunk = randomBytes(order.writeBytes ?? defaultWriteBytes);
  const slots = new StreamSlots(order, meter, (slot) => {
    const pump = () => {
      const { stream } = slot;
      if (!stream) return;
      let hasRoom = true;
      while (hasRoom && !slots.stopping) {
        hasRoom = stream.write(chunk);
        meter.bytes += chunk.length;
      }
    };
    return {
      onOpen() {
        slots.started(slot);
        pump();
      },
      onData() {},
      onDrain: pump,
    };
  });
  return slots.start();
}

/** Reads from sources and counts. */
export function startBulkDown(order: BulkLoadOrder, meter: Meter): Load {
  const slots = new StreamSlots(order, meter, (slot) => {
    let isFirst = true;
    return {
      onOpen: () => slot.stream?.write(request),
      onData(bytes) {
        meter.bytes += bytes.length;
        if (isFirst) slots.started(slot);
        isFirst = false;
      },
      onDrain() {},
    };
  });
  return slots.start();
}

/** Reads the first bytes from sources and stops. */
export function startStalled(order: BulkLoadOrder, meter: Meter): Load {
  const slots = new StreamSlots(order, meter, (slot) => {
    let isFirst = true;
    return {
      onOpen: () => slot.stream?.write(request),
      onData() {
        if (!isFirst) return;
        isFirst = false;
        slot.stream?.stall();
        slots.started(slot);
      },
      onDrain() {},
    };
  });
  return slots.start();
}
