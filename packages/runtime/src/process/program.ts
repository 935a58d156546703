/** Runs a program until a signal stops it: options, log, signals, exit code. */
import { setFlagsFromString } from 'node:v8';
import { describeOptions } from '../options/option-help.ts';
import type { OptionDeclarations, OptionTable, OptionValues } from '../options/option-table.ts';
import type { ParsedOptions, ParseInput } from '../options/read/parse-options.ts';
import type { logOptions } from '../options/shared-options.ts';
import { processInput, readCommandLine, reportFailure } from './command-line.ts';
import { createLog, type Logger, type LogSettings, type ProgramLog } from './logger.ts';
import { type Release, stampedCommit } from './release.ts';
import { ServiceManager } from './service-manager.ts';

export interface RunningProgram {
  /**
   * Called once, at the first SIGTERM or SIGINT: accept no new work, let open work finish within the program's
   * own time limit, then resolve. Exit code 0; 1 if it rejects.
   */
  drain(): Promise<void>;
  /** Called at SIGHUP: check the files in use for changes. */
  reload?(): void;
  /** One line for `systemctl status`. */
  describe?(): string;
  /** Rejects if the program must end by itself. The error is logged; exit code 1. */
  readonly ended?: Promise<never>;
}

type LoggedDeclarations = OptionDeclarations & typeof logOptions;

export interface Program<D extends LoggedDeclarations> extends Release {
  readonly table: OptionTable<D>;
  /** A StartupError or UsageError that it throws becomes one line on stderr. */
  start(context: {
    readonly options: OptionValues<D>;
    readonly logger: Logger;
  }): Promise<RunningProgram>;
}

/**
 * Runs a program and exits the process: 0 success, 1 failure, 2 wrong usage.
 *
 * The first SIGTERM or SIGINT drains; a second one ends the process at once with exit code 1. SIGHUP reopens
 * the log file and checks the files in use. systemd is notified of each step (service-manager.ts). An uncaught
 * exception is logged as fatal and ends the process.
 */
export async function runProgram<D extends LoggedDeclarations>(
  program: Program<D>,
  input: ParseInput = processInput(),
): Promise<void> {
  const { table } = program;
  letHeapGrow();
  try {
    const parsed = readCommandLine(table, program, input);
    if (parsed) await runParsed(program, parsed);
  } catch (error) {
    process.exit(reportFailure(table.program, error));
  }
}

async function runParsed<D extends LoggedDeclarations>(
  program: Program<D>,
  { options, warnings }: ParsedOptions<D>,
): Promise<void> {
  // LoggedDeclarations guarantees these options, but the compiler cannot infer that from D.
  const log = createLog(options as unknown as LogSettings);
  const { logger } = log;
  const serviceManager = new ServiceManager(logger);
  let running: RunningProgram | undefined;
  process.on('SIGHUP', () => {
    if (running) serviceManager.reloading();
    log.reopen();
    running?.reload?.();
    if (running) serviceManager.reloaded();
  });
  // Also receives unhandled rejections.
  process.on('uncaughtException', (err, origin) => void exitFatal(log, err, origin));
  const stop = firstStopSignal(log);

  logger.info(
    {
      version: program.version,
      commit: stampedCommit,
      node: process.version,
      options: describeOptions(program.table, options),
    },
    'starting',
  );
  for (const warning of warnings) logger.warn(warning);

  const started = await program.start({ options, logger });
  running = started;
  started.ended?.catch((err: unknown) => exitFatal(log, err, 'ended'));
  serviceManager.ready(() => started.describe?.());
  const signal = await stop;
  serviceManager.stopping();
  logger.info({ signal }, 'draining');
  try {
    await started.drain();
  } catch (err) {
    await exitFatal(log, err, 'drain');
  }
  logger.info('stopped');
  await Promise.all([log.close(), serviceManager.settled()]);
  process.exit(0);
}

/** Resolves at the first stop signal, which may arrive before the program has started. */
function firstStopSignal({ logger, close }: ProgramLog): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let isStopping = false;
    const onSignal = (signal: NodeJS.Signals) => {
      if (isStopping) {
        logger.warn({ signal }, 'ending now, open streams are cut off');
        void close().then(() => process.exit(1));
        return;
      }
      isStopping = true;
      resolve(signal);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}

/**
 * Logs each second how many streams a drain still waits for.
 * @param untilMs the end of the drain, by `performance.now()`
 * @returns the timer, for `clearInterval`
 */
export function logDraining(
  logger: Logger,
  untilMs: number,
  streamCount: () => number,
): NodeJS.Timeout {
  return setInterval(() => {
    const secondsLeft = Math.ceil((untilMs - performance.now()) / 1000);
    logger.info({ streams: streamCount(), secondsLeft }, 'draining');
  }, 1_000);
}

let isEnding = false;

/** Logs a fatal error and ends the process. Errors after the first one are ignored. */
export async function exitFatal(
  { logger, close }: ProgramLog,
  err: unknown,
  origin: string,
): Promise<void> {
  if (isEnding) return;
  isEnding = true;
  logger.fatal({ err, origin }, 'fatal error');
  await close();
  process.exit(1);
}

/**
 * Makes V8 collect garbage at a pace that suits a relay: the old generation may grow to four times its live
 * size, V8's own maximum. Process-wide, so for programs only.
 *
 * Each read of a socket allocates up to 64 KiB outside of the heap. V8 frees these in young collections, every
 * 32 MiB, but counts them towards the limit of the old generation. With a heap of 12 MB that limit comes
 * first, and bulk traffic causes a full collection every 28 MB. (Measured on Node 20, 2 GB through the server:
 * 62 full collections and 3.3 s of CPU before, 2 and 2.2 s after.)
 */
export function letHeapGrow(): void {
  setFlagsFromString('--heap-growing-percent=300');
}
