import { randomBytes } from 'node:crypto';
import type { EchoLoadOrder, Load } from './load.ts';
import type { Meter } from './meter.ts';
import { StreamSlots } from './stream-slots.ts';

/** Sends a message on each stream, waits for all of it to come back, and again. */
export function startEcho(order: EchoLoadOrder, meter: Meter): Load {
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
        // An idle stream waits for nothing.
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
