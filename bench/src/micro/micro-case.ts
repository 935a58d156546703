/** One micro-benchmark. */
export interface MicroCase {
  readonly name: string;
  readonly unit: string;
  /** Runs for about `durationMs`. @returns the rate in `unit` */
  measure(durationMs: number): Promise<number>;
}

/** A case that repeats a synchronous step. @param perStep the count of one step */
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
