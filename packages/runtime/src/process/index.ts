export { syncDirectory, writeFileAtomically, writeNewFile } from './atomic-file.ts';
export { type Command, runCommand } from './command-line.ts';
export { FileReloader } from './file-reloader.ts';
export {
  createFileLog,
  createLog,
  createLogger,
  type Logger,
  logLevel,
  type ProgramLog,
} from './logger.ts';
export { endIfOutputFails } from './output.ts';
export {
  exitFatal,
  letHeapGrow,
  logDraining,
  type Program,
  type RunningProgram,
  runProgram,
} from './program.ts';
export { describeRelease, type Release, release } from './release.ts';
export { StartupError, UsageError } from './startup-error.ts';
export { counted, printable, printableAll } from './text.ts';
