import { createHash } from 'node:crypto';
import { type FSWatcher, readFileSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import { Counter, type Registry } from 'prom-client';
import { UntimelyFilesError } from '../tls/certificate-replacement.ts';
import type { Logger } from './logger.ts';

/** Files that are put to use together: a certificate and its key change as one. */
export interface ReloadableFiles {
  /** In log lines and metrics: `agent-port certificates`. */
  readonly name: string;
  readonly paths: readonly string[];
  /**
   * Reads the files and puts them to use. When it throws, what was in use stays so; after an
   * UntimelyFilesError it is tried again each time that the files are looked at.
   */
  reload(): void;
}

export interface FileReloaderOptions {
  readonly logger: Logger;
  /** How often the files are looked at even though the system has told of no change. */
  readonly intervalMs: number;
  readonly registry: Registry;
  /** Of the metric's name: `fairlead_server_`. */
  readonly metricPrefix: string;
}

/** From the first notice of a change to the look at the files, which are seldom written in one step. */
const settleMs = 200;

interface Watched {
  readonly files: ReloadableFiles;
  digest: string;
  /** Refused for a reason that passes with time: looked at again although nothing has changed. */
  isUntimely: boolean;
}

/**
 * Re-reads files when their contents change. The system's notices come from their directories, where
 * Kubernetes swaps a symbolic link; where there are none (some network file systems) the interval helps.
 */
export class FileReloader {
  readonly #options: FileReloaderOptions;
  readonly #watched: Watched[] = [];
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #reloads: Counter;
  #poll: NodeJS.Timeout | undefined;
  #settling: NodeJS.Timeout | undefined;

  constructor(options: FileReloaderOptions) {
    this.#options = options;
    this.#reloads = new Counter({
      name: `${options.metricPrefix}file_reloads_total`,
      help: 'Changes of files that were noticed, by what they are and whether they could be used',
      labelNames: ['files', 'outcome'],
      registers: [options.registry],
    });
  }

  /** Watches files that have just been read. */
  add(files: ReloadableFiles): void {
    this.#watched.push({ files, digest: digestOf(files.paths), isUntimely: false });
    for (const directory of new Set(files.paths.map((path) => dirname(path)))) {
      this.#watch(directory);
    }
    this.#poll ??= setInterval(() => this.check(), this.#options.intervalMs).unref();
  }

  /** Looks at all files now. */
  check(): void {
    for (const watched of this.#watched) this.#checkOne(watched);
  }

  close(): void {
    clearInterval(this.#poll);
    clearTimeout(this.#settling);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #checkOne(watched: Watched): void {
    const { name, paths } = watched.files;
    const digest = digestOf(paths);
    const isChanged = digest !== watched.digest;
    if (!isChanged && !watched.isUntimely) return;
    watched.digest = digest;
    try {
      watched.files.reload();
      watched.isUntimely = false;
      this.#reloads.inc({ files: name, outcome: 'used' });
      this.#options.logger.info({ files: name, paths }, 'reloaded');
    } catch (error) {
      watched.isUntimely = error instanceof UntimelyFilesError;
      // Told once.
      if (!isChanged) return;
      this.#reloads.inc({ files: name, outcome: 'refused' });
      const { message } = error as Error;
      this.#options.logger.warn(
        { files: name, detail: message },
        'the new files are no good, the old ones stay in use',
      );
    }
  }

  #watch(directory: string): void {
    if (this.#watchers.has(directory)) return;
    try {
      const watcher = watch(directory, { persistent: false }, () => this.#onNotice());
      watcher.on('error', (error) => this.#onNoWatch(directory, error));
      this.#watchers.set(directory, watcher);
    } catch (error) {
      this.#onNoWatch(directory, error as Error);
    }
  }

  /** A bound on the delay, not a debounce: a directory in which others keep writing must not hold it up. */
  #onNotice(): void {
    this.#settling ??= setTimeout(() => {
      this.#settling = undefined;
      this.check();
    }, settleMs).unref();
  }

  #onNoWatch(directory: string, error: Error): void {
    const { intervalMs, logger } = this.#options;
    logger.warn(
      { directory, detail: error.message, intervalMs },
      'cannot watch, only look at times',
    );
  }
}

function digestOf(paths: readonly string[]): string {
  const hash = createHash('sha256');
  for (const path of paths) hash.update(contentOf(path)).update('\0');
  return hash.digest('hex');
}

function contentOf(path: string): Buffer | string {
  try {
    return readFileSync(path);
  } catch (error) {
    return `unreadable: ${(error as NodeJS.ErrnoException).code}`;
  }
}
