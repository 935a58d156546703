import { randomBytes } from 'node:crypto';
import type { Load, OrderOf } from './load.ts';
import type { Meter } from './meter.ts';
import { StreamSlots } from './stream-slots.ts';

/** Sends a message on each stream, waits until all of it is back, and repeats this. */
export function startEcho(order: OrderOf<'echo'>, meter: Meter): Load {
  const { messageBytes, pauseMs, timeoutMs } = order;
  const message = randomBytes(messageBytes);
  const slots = new StreamSlots(order, meter, (slot) => {
    let sinceMs = 0;
    let missing = 0;
    const send = (atMs: number) => {
      if (slots.stopping || !slot.stream) return;
      sinceMs = atMs;
      missing = messageBytes;
      if (timeoutMs !== undefined) slot.waitingSinceMs = performance.now();
      slot.stream.write(message);
    };
    const next = () => slot.pace.next(send);
    return {
      onOpen() {
        // Nothing is sent yet, so no answer can be late.
        slot.waitingSinceMs = undefined;
        next();
      },
      onData(bytes) {
        missing -= bytes.length;
        if (missing > 0) return;
        meter.latency.recordSince(sinceMs);
        meter.operations++;
        meter.bytes += messageBytes;
        slots.started(slot);
        if (pauseMs === 0) next();
        else setTimeout(next, pauseMs);
      },
      onDrain() {},
    };
  });
  return slots.start();
}
