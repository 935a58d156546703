/**
 * JSON log lines, or text for people, one per event, written asynchronously and flushed when the process exits.
 *
 * They go to stderr, as klog's do: stdout is for a command's result.
 */
import { closeSync, openSync } from 'node:fs';
import { isatty } from 'node:tty';
import { type DestinationStream, type Level, type Logger, pino, stdTimeFunctions } from 'pino';
import type { OptionValues } from '../options/option-table.ts';
import type { logOptions } from '../options/shared-options.ts';
import { UsageError } from './startup-error.ts';
import { escapeJsonLine } from './text.ts';
import { textLine } from './text-line.ts';

export type { Logger } from 'pino';

export type LogSettings = OptionValues<typeof logOptions>;

export interface ProgramLog {
  readonly logger: Logger;
  /** Opens the log file again, after a rotation; no effect for stderr. */
  reopen(): void;
  /**
   * Resolves when every line is written, or after a second. The log ignores later lines. Without it, a line
   * that is being written when the process exits could be lost, or written after later lines.
   */
  close(): Promise<void>;
}

/** If the reader of the log stalls and more is queued than this, new lines are dropped. */
const maxQueuedBytes = 16 * 1024 ** 2;

const stderrFd = 2;

/**
 * Longest write of several lines: POSIX writes so much atomically (PIPE_BUF on Linux), and all workers of a
 * server write to one pipe.
 */
const maxWriteBytes = 4096;

/** How long a stalled reader can delay the end of the process. */
const maxCloseMs = 1000;

/**
 * The level that `--log-level` or klog's -v selects.
 *
 * Konnectivity's manifests usually set -v=4, which logs little more than agents' connections there. Our debug
 * level logs every stream, and trace logs every frame. So -v=4 is info, -v=5 is debug, and above is trace.
 */
export function logLevel({ logLevel, v }: Pick<LogSettings, 'logLevel' | 'v'>): Level {
  if (logLevel !== undefined) return logLevel;
  if (v <= 4) return 'info';
  return v === 5 ? 'debug' : 'trace';
}

/** @throws UsageError if the log file cannot be opened */
export function createLog(settings: LogSettings): ProgramLog {
  const path = settings.logtostderr ? undefined : settings.logFile;
  const isTerminal = path === undefined && isatty(stderrFd);
  const { logFormat } = settings;
  const isText = logFormat === 'text' || (logFormat === 'auto' && isTerminal);
  return openLog('--log-file', path, logLevel(settings), isText);
}

/**
 * Opens a second log besides the program's.
 * @param flag names the file in errors
 * @throws UsageError if the file cannot be opened
 */
export function createFileLog(flag: string, path: string): ProgramLog {
  return openLog(flag, path, 'info');
}

/** @param path undefined: stderr */
function openLog(flag: string, path: string | undefined, level: Level, isText = false): ProgramLog {
  if (path !== undefined) checkWritable(flag, path);
  // pino's types lack `destroyed`.
  const destination = pino.destination({
    dest: path ?? stderrFd,
    sync: false,
    maxLength: maxQueuedBytes,
    maxWrite: maxWriteBytes,
  }) as ReturnType<typeof pino.destination> & { readonly destroyed: boolean };
  // A full disk must not end the process. Lines are queued and written when there is space again.
  let isFailing = false;
  const onFirstError = (error: Error) => {
    if (path !== undefined) process.stderr.write(`${flag} ${path}: ${error.message}\n`);
    // Before pino's own listener, which retries for as long as the disk is full.
    process.prependListener('exit', () => {
      if (isFailing) destination.destroy();
    });
  };
  destination.once('error', onFirstError);
  destination.on('error', () => {
    isFailing = true;
  });
  destination.on('write', () => {
    isFailing = false;
  });
  let closed: Promise<void> | undefined;
  return {
    // Without flushSync, which pino would call after a fatal line: it overtakes a pending write.
    logger: createLogger(level, {
      write: (line) => {
        if (!destination.destroyed) destination.write(isText ? textLine(line) : line);
      },
    }),
    reopen: () => {
      if (path !== undefined) destination.reopen();
    },
    close: () => {
      closed ??= new Promise((resolve) => {
        const timer = setTimeout(() => destination.destroy(), maxCloseMs);
        destination.once('close', () => {
          clearTimeout(timer);
          resolve();
        });
        destination.end();
      });
      return closed;
    },
  };
}

/**
 * A logger with our line format over any destination: `level` as a word, `time` in ISO 8601, `msg`;
 * without process ID and host name, which log collectors add.
 */
export function createLogger(level: Level | 'silent', destination: DestinationStream): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: cutLong },
    },
    // Peers choose their names; a name must not look like one of our lines.
    { write: (line) => destination.write(escapeJsonLine(line)) },
  );
}

/** Longer texts, which peers may choose, are cut. Errors keep their stack. */
const maxFieldChars = 1_024;

function cutLong(fields: Record<string, unknown>): Record<string, unknown> {
  let cut: Record<string, unknown> | undefined;
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value !== 'string' || value.length <= maxFieldChars) continue;
    cut ??= { ...fields };
    cut[name] = `${value.slice(0, maxFieldChars - 1)}…`;
  }
  return cut ?? fields;
}

function checkWritable(flag: string, path: string): void {
  try {
    closeSync(openSync(path, 'a', 0o640));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UsageError(
      `${flag}: ${path}: cannot write it: ${code ?? message}. Use a file in a directory that this user can write to`,
      { cause: error },
    );
  }
}
