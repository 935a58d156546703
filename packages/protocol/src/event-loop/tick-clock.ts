import { performance } from 'node:perf_hooks';

/**
 * How long this process was busy between the last two times it could have read from its sockets. A peer
 * that waits for an answer of ours waits that long at most without any queue in the network (spec 7.5).
 */
let turnBusyMs = 0;
/** Busy time of the process and turns of its event loop, at the end of the turn noted last. */
let activeMs = 0;
let turns = 0;
/** Busy time when this turn was noted. */
let notedActiveMs = 0;
let isArmed = false;
let notedTurns = 0;

function onTurnEnd(): void {
  isArmed = false;
  notedTurns += 1;
  const nowActiveMs = performance.eventLoopUtilization().active;
  const nowTurns = performance.nodeTiming.uvMetricsInfo.loopCount;
  // Many turns that nobody noted may lie in between, with waits: then one of them counts, not their sum.
  const averageMs = (nowActiveMs - activeMs) / Math.max(1, nowTurns - turns);
  turnBusyMs = Math.max(averageMs, nowActiveMs - notedActiveMs);
  activeMs = nowActiveMs;
  turns = nowTurns;
}

/** Says that the process works on a tunnel in this turn of the event loop. Cheap; once a turn is enough. */
export function noteTurn(): void {
  if (isArmed) return;
  isArmed = true;
  notedActiveMs = performance.eventLoopUtilization().active;
  setImmediate(onTurnEnd);
}

/** A number that is another in the next noted turn. */
export function currentTurn(): number {
  return notedTurns;
}

/** Milliseconds that the latest noted turn was busy. */
export function latestTurnMs(): number {
  return turnBusyMs;
}
