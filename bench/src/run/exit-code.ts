import { hasAny, isComplete, type Results } from '../results.ts';
import { progress } from './progress.ts';

/** Sets exit code 1 if a round failed or nothing was measured. */
export function setExitCode(results: Results): void {
  const isEmpty = !hasAny(results);
  if (isEmpty) progress.warn('NOTHING was measured: no round succeeded');
  if (isEmpty || !isComplete(results)) process.exitCode = 1;
}
