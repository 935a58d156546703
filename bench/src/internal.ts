/** Exports for the tests in bench/test. */
export { ratioTables } from './compare/ratios.ts';
export { fullOptionsOrExit } from './full/full-options.ts';
export { plan } from './full/plan.ts';
export { measures } from './measures/index.ts';
export { goLoadProgram } from './measures/with-go-load.ts';
export { compareOptionsOrExit, optionsOrExit } from './options.ts';
export { findProgram } from './process/find-program.ts';
export { Worker } from './process/worker.ts';
export { judge } from './report/bars.ts';
export { mergeResults } from './report/merge-results.ts';
export { textTables } from './report/text-tables.ts';
export { writeReport } from './report/write-report.ts';
export { type MeasureResults, medians, type Results, type SystemResults } from './results.ts';
export { readResults, writeResults } from './results-file.ts';
export { systems } from './systems/index.ts';
export { pairings } from './systems/pairings.ts';
export type { System } from './systems/system.ts';
