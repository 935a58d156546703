import type { Load, LoadOrder } from './load.ts';
import type { LoadStream } from './load-stream.ts';
import type { Meter } from './meter.ts';
import { openLoadStream } from './open-load-stream.ts';
import type { Route } from './route.ts';
import { StreamSet } from './stream-set.ts';

type OpenOrder = Extract<LoadOrder, { kind: 'open' }>;
type IdleOrder = Extract<LoadOrder, { kind: 'idle' }>;

const byte = Buffer.from('x');
/** Enough to keep all processes busy without overrunning a listener's backlog. */
const openingAtOnce = 64;

/**
 * Keeps `streams` at once in the circle open, one byte out and back, close. The latency is that
 * of open and byte; a circle is complete, and the next begins, when the stream is closed.
 */
export function startOpens({ route, streams: count }: OpenOrder, meter: Meter): Load {
  const open = new Set<LoadStream>();
  let stopping = false;
  let onEmpty = () => {};
  let onRunning = () => {};
  const running = new Promise<void>((resolve) => {
    onRunning = resolve;
  });
  const circle = () => {
    const startMs = performance.now();
    let isDone = false;
    const stream = openLoadStream(route, {
      onOpen: () => stream.write(byte),
      onData() {
        isDone = true;
        meter.latency.recordSince(startMs);
        stream.end();
      },
      onDrain() {},
      onClose(error) {
        open.delete(stream);
        if (isDone) {
          meter.operations++;
          onRunning();
        } else if (!stopping) {
          meter.fail(error ?? new Error('closed before the byte came back'));
        }
        // Not at once: a refusal that comes synchronously would recurse.
        if (!stopping) setImmediate(circle);
        else if (open.size === 0) onEmpty();
      },
    });
    open.add(stream);
  };
  for (let i = 0; i < count; i++) circle();
  return {
    running,
    async stop() {
      stopping = true;
      if (open.size === 0) return;
      const empty = new Promise<void>((resolve) => {
        onEmpty = resolve;
      });
      for (const stream of [...open]) stream.destroy();
      await empty;
    },
  };
}

/** Opens streams, a limited number at a time, and keeps them. */
export function startIdle({ route, streams: count }: IdleOrder, meter: Meter): Load {
  const streams = new StreamSet(count, (error) => meter.fail(error));
  let remaining = count;
  const openNext = () => {
    if (remaining === 0 || streams.stopping) return;
    remaining--;
    addIdleStream(route, streams, openNext);
  };
  for (let i = 0; i < openingAtOnce; i++) openNext();
  return { running: streams.running, stop: () => streams.stop() };
}

/** A function of its own, so that a stream's closures hold no more than they need. */
function addIdleStream(route: Route, streams: StreamSet, onStarted: () => void): void {
  const stream: LoadStream = openLoadStream(route, {
    onOpen: () => stream.write(byte),
    onData() {
      streams.started();
      onStarted();
    },
    onDrain() {},
    onClose: (error) => streams.closed(stream, error),
  });
  streams.add(stream);
}
