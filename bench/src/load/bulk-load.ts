import { seededBuffer } from '@fairlead/testkit';
import type { Load } from './load.ts';
import type { LoadStream } from './load-stream.ts';
import type { Meter } from './meter.ts';
import { openLoadStream } from './open-load-stream.ts';
import type { Route } from './route.ts';
import { StreamSet } from './stream-set.ts';

interface BulkOrder {
  readonly route: Route;
  readonly streams: number;
}

const writeBytes = 65_536;
/** Makes a source begin. */
const request = Buffer.from('x');

/** Writes to sinks. The load counts nothing: what it wrote may still be under way. */
export function startBulkUp({ route, streams: count }: BulkOrder, meter: Meter): Load {
  // Not zeros: a peer that compresses would look better than it is.
  const chunk = seededBuffer('bulk', writeBytes);
  const streams = new StreamSet(count, (error) => meter.fail(error));
  for (let i = 0; i < count; i++) {
    const pump = () => {
      while (!streams.stopping && stream.write(chunk));
    };
    const stream: LoadStream = openLoadStream(route, {
      onOpen() {
        streams.started();
        pump();
      },
      onData() {},
      onDrain: pump,
      onClose: (error) => streams.closed(stream, error),
    });
    streams.add(stream);
  }
  return { running: streams.running, stop: () => streams.stop() };
}

/** Reads from sources and counts. */
export function startBulkDown({ route, streams: count }: BulkOrder, meter: Meter): Load {
  const streams = new StreamSet(count, (error) => meter.fail(error));
  for (let i = 0; i < count; i++) {
    let isFirst = true;
    const stream: LoadStream = openLoadStream(route, {
      onOpen: () => stream.write(request),
      onData(bytes) {
        meter.bytes += bytes.length;
        if (isFirst) streams.started();
        isFirst = false;
      },
      onDrain() {},
      onClose: (error) => streams.closed(stream, error),
    });
    streams.add(stream);
  }
  return { running: streams.running, stop: () => streams.stop() };
}

/** Reads the first bytes from sources and stops. */
export function startStalled({ route, streams: count }: BulkOrder, meter: Meter): Load {
  const streams = new StreamSet(count, (error) => meter.fail(error));
  for (let i = 0; i < count; i++) {
    let isFirst = true;
    const stream: LoadStream = openLoadStream(route, {
      onOpen: () => stream.write(request),
      onData() {
        if (!isFirst) return;
        isFirst = false;
        stream.stall();
        streams.started();
      },
      onDrain() {},
      onClose: (error) => streams.closed(stream, error),
    });
    streams.add(stream);
  }
  return { running: streams.running, stop: () => streams.stop() };
}
