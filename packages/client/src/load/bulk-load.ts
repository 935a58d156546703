import { randomBytes } from 'node:crypto';
import type { Load, LoadOrder, OrderOf } from './load.ts';
import type { Meter } from './meter.ts';
import { StreamSlots } from './stream-slots.ts';

const defaultWriteBytes = 65_536;
/** Starts a source. */
const request = Buffer.from('x');

/** Writes to sinks. Counts the bytes that the connections accepted; the last of them can be in flight. */
export function startBulkUp(
  order: OrderOf<'bulk-up' | 'bulk-down' | 'stalled'>,
  meter: Meter,
): Load {
  // Random, because zeros would favor a system that compresses.
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

export function startBulkDown(order: LoadOrder, meter: Meter): Load {
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

export function startStalled(order: LoadOrder, meter: Meter): Load {
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
