/** The frame of a program that runs until it is told to stop: options, log, signals, exit code. */

import { describeOptions } from '../options/describe-options.ts';
import type { logOptions } from '../options/general-options.ts';
import type { OptionDeclarations, OptionTable, OptionValues } from '../options/option-table.ts';
import type { ParsedOptions, ParseInput } from '../options/read/parse-options.ts';
import { processInput, readCommandLine, reportFailure } from './command-line.ts';
import { letHeapGrow } from './heap-growth.ts';
import { createLog, type Logger, type LogSettings, type ProgramLog } from './logger.ts';
import { type Release, stampedCommit } from './release.ts';
import { ServiceManager } from './service-manager.ts';

/** What a program's start gets. */
export interface ProgramContext<D extends OptionDeclarations> {
  readonly options: OptionValues<D>;
  readonly logger: Logger;
}

/** A program that has started. */
export interface RunningProgram {
  /**
   * Called once, at the first SIGTERM or SIGINT: take no new work, let open work finish within the
   * program's own time limit, then resolve. Exit code 0; a rejection is exit code 1.
   */
  drain(): Promise<void>;
  /** Called at SIGHUP: look at the files that are in use. */
  reload?(): void;
  /** In a line, what the program is doing: for `systemctl status`. */
  describe?(): string;
  /** For a program that may have to end by itself: a rejection is logged, exit code 1. */
  readonly ended?: Promise<never>;
}

type LoggedDeclarations = OptionDeclarations & typeof logOptions;

export interface Program<D extends LoggedDeclarations> extends Release {
  readonly table: OptionTable<D>;
  /** StartupError and UsageError that it throws are told as one line on stderr. */
  start(context: ProgramContext<D>): Promise<RunningProgram>;
}

/**
 * Runs a program to its end and exits the process: 0 clean, 1 failure, 2 bad usage.
 *
 * The first SIGTERM or SIGINT drains, a second one ends at once with exit code 1. SIGHUP reopens
 * the log file and looks at the files in use. systemd is told of each step (service-manager.ts). An exception that nobody caught is logged as fatal and ends the process.
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
  // LoggedDeclarations says that these options are there; the compiler cannot see through D.
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
  // Rejections that nobody handles arrive here as well.
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

/** Resolves at the first stop signal, which may come while the program still starts. */
function firstStopSignal({ logger, close }: ProgramLog): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let isStopping = false;
    const onSignal = (signal: NodeJS.Signals) => {
      if (isStopping) {
        logger.warn({ signal }, 'ending at once, open streams are cut');
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

let isEnding = false;

/** Ends the process with its last word written; what else fails meanwhile is not the reason. */
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
