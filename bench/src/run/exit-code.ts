import { hasAny, isComplete, type Results } from '../results.ts';
import { progress } from './progress.ts';

/** The exit code of a run in which a system failed or nothing was measured; the latter is said, too. */
export function tellIncomplete(results: Results): void {
  const isEmpty = !hasAny(results);
  if (isEmpty) progress.warn('NOTHING was measured: no system took part in any measure');
  if (isEmpty || !isComplete(results)) process.exitCode = 1;
}
