import { seededBuffer } from '@fairlead/testkit';
import type { Load, LoadOrder } from './load.ts';
import type { LoadStream } from './load-stream.ts';
import type { Meter } from './meter.ts';
import { openLoadStream } from './open-load-stream.ts';
import { StreamSet } from './stream-set.ts';

type EchoOrder = Extract<LoadOrder, { kind: 'echo' }>;

/** Sends a message on each stream, waits for all of it to come back, and again. */
export function startEcho(order: EchoOrder, meter: Meter): Load {
  const { route, streams: count, messageBytes, pauseMs } = order;
  const message = seededBuffer('echo', messageBytes);
  const streams = new StreamSet(count, (error) => meter.fail(error));
  for (let i = 0; i < count; i++) {
    let sentAtMs = 0;
    let missing = 0;
    let isFirst = true;
    const send = () => {
      if (streams.stopping) return;
      sentAtMs = performance.now();
      missing = messageBytes;
      stream.write(message);
    };
    const stream: LoadStream = openLoadStream(route, {
      onOpen: send,
      onData(bytes) {
        missing -= bytes.length;
        if (missing > 0) return;
        meter.latency.recordSince(sentAtMs);
        meter.operations++;
        if (isFirst) streams.started();
        isFirst = false;
        if (pauseMs === 0) send();
        else setTimeout(send, pauseMs);
      },
      onDrain() {},
      onClose: (error) => streams.closed(stream, error),
    });
    streams.add(stream);
  }
  return { running: streams.running, stop: () => streams.stop() };
}
