import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ, which is 100 on every architecture that Node runs on. */
const ticksPerSecond = 100;

/**
 * Reads /proc/PID. Linux only.
 * @throws the system's error (ENOENT, ESRCH) if there is no such process
 */
export function readProcessStats(pid: number) {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The program's name is in parentheses and can contain spaces and parentheses. `state`, the third field
  // of proc(5), follows the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [userTicks, systemTicks] = [fields[11], fields[12]];
  return {
    atMs: performance.now(),
    rssBytes: statusBytes(status, 'VmRSS'),
    peakRssBytes: statusBytes(status, 'VmHWM'),
    /** User and system time so far, all threads; a clock of 10 ms ticks. */
    cpuMs: ((Number(userTicks) + Number(systemTicks)) * 1000) / ticksPerSecond,
  };
}

/** How many file descriptors a process holds. Linux only; throws as `readProcessStats` does. */
export function countOpenFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

function statusBytes(status: string, name: string): number {
  // A zombie has no memory lines.
  const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status);
  return match ? Number(match[1]) * 1024 : 0;
}

/**
 * Watches a process from now on.
 *
 * @param intervalMs interval of the memory samples
 * @returns a function that ends the watch and returns what the process used, with its highest and lowest
 *   resident memory; a process that has ended is reported up to its last sample
 */
export function watchProcess(pid: number, intervalMs = 100) {
  const first = readProcessStats(pid);
  let last = first;
  let maxRssBytes = first.rssBytes;
  let minRssBytes = first.rssBytes;
  const sample = () => {
    try {
      last = readProcessStats(pid);
    } catch {
      clearInterval(timer);
      return;
    }
    maxRssBytes = Math.max(maxRssBytes, last.rssBytes);
    minRssBytes = Math.min(minRssBytes, last.rssBytes);
  };
  const timer = setInterval(sample, intervalMs).unref();
  return () => {
    sample();
    clearInterval(timer);
    return {
      elapsedMs: last.atMs - first.atMs,
      cpuMs: last.cpuMs - first.cpuMs,
      maxRssBytes,
      minRssBytes,
    };
  };
}
