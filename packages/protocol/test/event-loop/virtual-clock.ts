/** An event and its time. Events at the same time run in the order of planning. */
interface PlannedEvent {
  readonly atMs: number;
  readonly seq: number;
  run: (() => void) | undefined;
}

/**
 * Simulated time that moves from event to event. `inVirtualTime` replaces the timers, `setImmediate` and the clock of
 * the process, so that sessions run in simulated time.
 */
export class VirtualClock {
  /** Not 0, because code may use 0 for "never". */
  nowMs = 1_000;
  #seq = 0;
  /** A binary heap: the next event first. */
  readonly #heap: PlannedEvent[] = [];

  /** @returns a function that cancels the event */
  at(atMs: number, run: () => void): PlannedEvent {
    const event: PlannedEvent = { atMs: Math.max(atMs, this.nowMs), seq: this.#seq++, run };
    const heap = this.#heap;
    let index = heap.push(event) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = event;
    return event;
  }

  after(ms: number, run: () => void): PlannedEvent {
    return this.at(this.nowMs + ms, run);
  }

  /** Runs the events of the next `ms`. */
  advance(ms: number): void {
    this.advanceUntil(() => false, ms);
  }

  /** Runs events until the condition holds. @returns false if it does not hold within `ms` */
  advanceUntil(condition: () => boolean, ms: number): boolean {
    const endMs = this.nowMs + ms;
    while (!condition()) {
      const next = this.#heap[0];
      if (!next || next.atMs > endMs) {
        this.nowMs = endMs;
        return condition();
      }
      this.#pop();
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.run?.();
    }
    return true;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
  }
}

function isBefore(one: PlannedEvent, other: PlannedEvent): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.seq < other.seq);
}

/**
 * Runs the body, which must be synchronous, in virtual time.
 * @returns what the body returns
 */
export function inVirtualTime<Result>(body: (clock: VirtualClock) => Result): Result {
  const clock = new VirtualClock();
  const { setTimeout, clearTimeout, setImmediate } = globalThis;
  const { now, eventLoopUtilization } = performance;
  const plan = (run: () => void, ms: number) => ({
    event: clock.after(ms, run),
    unref() {},
  });
  Object.assign(globalThis, {
    setTimeout: (run: () => void, ms = 0) => plan(run, Math.max(1, ms)),
    setImmediate: (run: () => void) => plan(run, 0),
    clearTimeout: (timer?: ReturnType<typeof plan>) => {
      if (timer) timer.event.run = undefined;
    },
  });
  performance.now = () => clock.nowMs;
  // Every tick counts as idle, because the cost of the simulation must not be measured.
  performance.eventLoopUtilization = () => ({ idle: 0, active: 0, utilization: 0 });
  try {
    return body(clock);
  } finally {
    Object.assign(globalThis, { setTimeout, clearTimeout, setImmediate });
    Object.assign(performance, { now, eventLoopUtilization });
  }
}
