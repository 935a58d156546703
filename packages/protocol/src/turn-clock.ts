import { performance } from 'node:perf_hooks';

/**
 * How long this process was busy between the last two times it could have read from its sockets. A peer
 * that waits for an answer of ours waits that long at most without any queue in the network (spec 7.5).
 */
let turnBusyMs = 0;
let activeMs = 0;
let isArmed = false;

function onTurnEnd(): void {
  isArmed = false;
  const nowActiveMs = performance.eventLoopUtilization().active;
  turnBusyMs = nowActiveMs - activeMs;
  activeMs = nowActiveMs;
}

/** Says that the process works on a tunnel in this turn of the event loop. Cheap; once a turn is enough. */
export function noteTurn(): void {
  if (isArmed) return;
  isArmed = true;
  setImmediate(onTurnEnd);
}

/** Milliseconds that the latest noted turn was busy. */
export function latestTurnMs(): number {
  return turnBusyMs;
}
