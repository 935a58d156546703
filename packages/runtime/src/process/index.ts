export { writeFileAtomically } from './atomic-file.ts';
export { type Command, runCommand } from './command.ts';
export { counted } from './counted.ts';
export {
  FileReloader,
  type FileReloaderOptions,
  type ReloadableFiles,
} from './file-reloader.ts';
export { letHeapGrow } from './heap-growth.ts';
export {
  createFileLog,
  createLog,
  createLogger,
  type Logger,
  type LogSettings,
  logLevel,
  type ProgramLog,
} from './logger.ts';
export { printable, printableAll } from './printable.ts';
export {
  exitFatal,
  type Program,
  type ProgramContext,
  type RunningProgram,
  runProgram,
} from './program.ts';
export { describeRelease, type Release, release } from './release.ts';
export { StartupError } from './startup-error.ts';
export { UsageError } from './usage-error.ts';
