import { performance } from 'node:perf_hooks';

/**
 * How long this process was busy between the last two times when it could have read from its sockets. A peer that
 * waits for our answer may wait that long although no queue has formed in the network (spec 7.5).
 */
let tickBusyMs = 0;
/** Busy time of the process and ticks of its event loop, at the end of the latest noted tick. */
let activeMs = 0;
let ticks = 0;
/** Busy time of the process when the current tick was noted. */
let notedActiveMs = 0;
let isNoted = false;
let notedTicks = 0;

function onTickEnd(): void {
  isNoted = false;
  notedTicks += 1;
  const nowActiveMs = performance.eventLoopUtilization().active;
  const nowTicks = performance.nodeTiming.uvMetricsInfo.loopCount;
  // Many ticks that were not noted, with waits, may lie in between. Then their average counts, not their sum.
  const averageMs = (nowActiveMs - activeMs) / Math.max(1, nowTicks - ticks);
  tickBusyMs = Math.max(averageMs, nowActiveMs - notedActiveMs);
  activeMs = nowActiveMs;
  ticks = nowTicks;
}

/** Notes that the process works on a tunnel in this tick of the event loop. Cheap; one call per tick is enough. */
export function noteTick(): void {
  if (isNoted) return;
  isNoted = true;
  notedActiveMs = performance.eventLoopUtilization().active;
  setImmediate(onTickEnd);
}

/** A number that differs between noted ticks. */
export function currentTick(): number {
  return notedTicks;
}

/** Busy time of the latest noted tick, in milliseconds. */
export function latestTickMs(): number {
  return tickBusyMs;
}
