/**
 * JSON log lines, one per event, written asynchronously and flushed when the process exits.
 *
 * They go to stderr, as klog's do: stdout belongs to what a command was asked for (`--help`).
 */
import { closeSync, openSync } from 'node:fs';
import { type DestinationStream, type Level, type Logger, pino, stdTimeFunctions } from 'pino';
import { escapeJsonLine } from './printable.ts';
import { UsageError } from './usage-error.ts';

export type { Logger } from 'pino';

/** What `logOptions` reads. */
export interface LogSettings {
  readonly logLevel: Level | undefined;
  readonly v: number;
  readonly logtostderr: boolean;
  readonly logFile: string | undefined;
}

export interface ProgramLog {
  readonly logger: Logger;
  /** Opens the log file anew, after a rotation; nothing to do for stderr. */
  reopen(): void;
  /**
   * Resolves when every line is written, or cannot be within a second; the log is of no use any more. Left
   * to the exit of the process, a line under way could be lost, or come after those behind it.
   */
  close(): Promise<void>;
}

/** A reader that has stalled costs lines, not memory: beyond this, new ones are dropped. */
const maxQueuedBytes = 16 * 1024 ** 2;

const stderrFd = 2;

/**
 * Longest write of several lines: what POSIX keeps in one piece (PIPE_BUF on Linux), since the workers of a
 * server write into one pipe.
 */
const maxWriteBytes = 4096;

/** A reader that has stalled does not hold up the end of the process for longer. */
const maxCloseMs = 1000;

/**
 * The level that `--log-level` or klog's -v asks for.
 *
 * Konnectivity's manifests carry -v=4 as a matter of course, where it tells about connections of
 * agents and little else; our debug tells about every stream. So -v=4 is info still, -v=5 is debug
 * and everything above is trace, whose lines come per frame.
 */
export function logLevel({ logLevel, v }: Pick<LogSettings, 'logLevel' | 'v'>): Level {
  if (logLevel !== undefined) return logLevel;
  if (v <= 4) return 'info';
  return v === 5 ? 'debug' : 'trace';
}

/** @throws UsageError if the log file cannot be opened */
export function createLog(settings: LogSettings): ProgramLog {
  return openLog(
    '--log-file',
    settings.logtostderr ? undefined : settings.logFile,
    logLevel(settings),
  );
}

/**
 * A log of its own beside the program's.
 * @param flag that named the file, for error texts
 * @throws UsageError if the file cannot be opened
 */
export function createFileLog(flag: string, path: string): ProgramLog {
  return openLog(flag, path, 'info');
}

/** @param path undefined: stderr */
function openLog(flag: string, path: string | undefined, level: Level): ProgramLog {
  if (path !== undefined) checkWritable(flag, path);
  // Its types leave `destroyed` out.
  const destination = pino.destination({
    dest: path ?? stderrFd,
    sync: false,
    maxLength: maxQueuedBytes,
    maxWrite: maxWriteBytes,
  }) as ReturnType<typeof pino.destination> & { readonly destroyed: boolean };
  // A full disk must not end the tunnels. Lines queue up and are written when there is room again.
  let isFailing = false;
  const onFirstError = (error: Error) => {
    if (path !== undefined) process.stderr.write(`${flag} ${path}: ${error.message}\n`);
    // Before pino's own listener, which writes what is left, and tries again for as long as the disk is full.
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
    // Without flushSync, which pino would call behind a fatal line: it overtakes a write under way.
    logger: createLogger(level, {
      write: (line) => {
        if (!destination.destroyed) destination.write(line);
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
 * no process ID and host name, which whoever collects the lines knows better.
 */
export function createLogger(level: Level | 'silent', destination: DestinationStream): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: cutLong },
    },
    // Peers name themselves; no name may look like a line of ours.
    { write: (line) => destination.write(escapeJsonLine(line)) },
  );
}

/** No name, path or text of a peer makes a line longer than this; errors keep their stack. */
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
      `${flag}: ${path}: cannot be written: ${code ?? message}; name a file in a directory that this user may write to`,
      { cause: error },
    );
  }
}
