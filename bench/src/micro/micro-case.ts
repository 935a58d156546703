/** One thing whose speed is looked at by itself. */
export interface MicroCase {
  readonly name: string;
  readonly unit: string;
  /** Works for about `durationMs` and returns how much was done per second, in `unit`. */
  measure(durationMs: number): Promise<number>;
}

/** A case that repeats a synchronous step. @param perStep what one step counts for */
export function repeated(name: string, unit: string, perStep: number, step: () => void): MicroCase {
  return {
    name,
    unit,
    async measure(durationMs) {
      const startMs = performance.now();
      let steps = 0;
      let elapsedMs = 0;
      while (elapsedMs < durationMs) {
        step();
        steps++;
        elapsedMs = performance.now() - startMs;
      }
      return (steps * perStep * 1000) / elapsedMs;
    },
  };
}
