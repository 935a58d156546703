import { setTimeout as delay } from 'node:timers/promises';
import { closeRoute } from '@fairlead/client';
import { type Load, Meter, type MeterSample, startLoad } from '@fairlead/client/load';
import { StartupError } from '@fairlead/runtime/process';
import type { BenchFlags } from './bench-options.ts';
import type { BenchPlan } from './bench-plan.ts';
import type { Measurement } from './bench-report.ts';
import type { Progress } from './progress.ts';

const sampleMs = 1000;
/** A shorter last sample is left out, because its rates mean little. */
const shortestSampleMs = 100;
/** A stream whose end is not acknowledged must not delay the report. */
const stopTimeoutMs = 3000;

/**
 * Starts the load, waits for ramp and warm-up, and measures.
 * @param signal ends it early
 * @returns undefined if the signal came before the measurement
 * @throws StartupError if the load cannot be started
 */
export async function runLoad(
  plan: BenchPlan,
  flags: BenchFlags,
  progress: Progress,
  signal: AbortSignal,
): Promise<Measurement | undefined> {
  const meter = new Meter();
  const load = await startLoad(plan.order, meter).catch((error: Error) => {
    throw new StartupError(`the load cannot be started: ${error.message}`, { cause: error });
  });
  try {
    if (flags.ramp > 0) progress.phase(`opening ${flags.streams} streams`);
    await pause(flags.ramp, signal);
    if (flags.warmUp > 0 && !signal.aborted) progress.phase('warming up');
    await pause(flags.warmUp, signal);
    if (signal.aborted) return undefined;
    return await measure(meter, flags, progress, signal);
  } finally {
    await stopLoad(load, plan);
  }
}

async function measure(
  meter: Meter,
  { duration }: BenchFlags,
  progress: Progress,
  signal: AbortSignal,
): Promise<Measurement> {
  const startedAt = new Date();
  const samples: MeterSample[] = [];
  progress.warmUp();
  const busyBefore = performance.eventLoopUtilization();
  const beganMs = performance.now();
  meter.begin();
  const take = () => {
    const sample = meter.sample();
    samples.push(sample);
    return sample;
  };
  let lastMs = beganMs;
  const timer = setInterval(() => {
    lastMs = performance.now();
    progress.sample(take(), lastMs - beganMs);
  }, sampleMs);
  await pause(duration, signal);
  clearInterval(timer);
  const endedEarly = signal.aborted;
  const endMs = performance.now();
  const last = endMs - lastMs >= shortestSampleMs ? take() : undefined;
  const report = meter.end();
  if (last) progress.sample(last, endMs - beganMs);
  const { utilization } = performance.eventLoopUtilization(busyBefore);
  progress.end();
  return {
    startedAt,
    endedEarly,
    meter: report,
    samples,
    distribution: meter.distribution(),
    busy: utilization,
  };
}

async function stopLoad(load: Load, { route }: BenchPlan): Promise<void> {
  const tooLong = new AbortController();
  await Promise.race([load.stop(), pause(stopTimeoutMs, tooLong.signal)]);
  tooLong.abort();
  closeRoute(route);
}

/** Resolves after that time, or when the signal is aborted. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await delay(ms, undefined, { signal }).catch(() => {});
}
