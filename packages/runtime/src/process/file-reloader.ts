import { createHash } from 'node:crypto';
import { type FSWatcher, readFileSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import { Counter, type Registry } from 'prom-client';
import { UntimelyFilesError } from '../tls/tls-files.ts';
import type { Logger } from './logger.ts';

/** Files that are reloaded together, such as a certificate and its key. */
interface ReloadableFiles {
  /** For log lines and metrics: `agent-port certificates`. */
  readonly name: string;
  readonly paths: readonly string[];
  /**
   * Reads the files and starts to use them. If it throws, the previous ones stay in use. After an
   * UntimelyFilesError, each check calls it again.
   */
  reload(): void;
}

/** From the first event to the check, since most files are not written in one step. */
const settleMs = 200;

interface Watched {
  readonly files: ReloadableFiles;
  digest: string;
  /** Not valid yet: reload them at the next check even without a change. */
  isUntimely: boolean;
}

/**
 * Reloads files when their contents change. It watches their directories, where Kubernetes replaces a symbolic
 * link, and also checks at an interval, since some network file systems report no events.
 */
export class FileReloader {
  readonly #logger: Logger;
  readonly #intervalMs: number;
  readonly #watched: Watched[] = [];
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #reloads: Counter;
  #poll: NodeJS.Timeout | undefined;
  #settling: NodeJS.Timeout | undefined;

  /**
   * @param options.intervalMs between two checks
   * @param options.metricPrefix `fairlead_server_`
   */
  constructor({
    logger,
    intervalMs,
    registry,
    metricPrefix,
  }: {
    readonly logger: Logger;
    readonly intervalMs: number;
    readonly registry: Registry;
    readonly metricPrefix: string;
  }) {
    this.#logger = logger;
    this.#intervalMs = intervalMs;
    this.#reloads = new Counter({
      name: `${metricPrefix}file_reloads_total`,
      help: 'Changes of files, by kind of file and whether the new files were used or refused',
      labelNames: ['files', 'outcome'],
      registers: [registry],
    });
  }

  /** Starts watching files that were just read. */
  add(files: ReloadableFiles): void {
    this.#watched.push({ files, digest: digestOf(files.paths), isUntimely: false });
    for (const directory of new Set(files.paths.map((path) => dirname(path)))) {
      this.#watch(directory);
    }
    this.#poll ??= setInterval(() => this.#checkAll(), this.#intervalMs).unref();
  }

  /** Checks now, at the request of an operator, who also wants to know that nothing has changed. */
  check(): void {
    if (!this.#checkAll()) this.#logger.info('no file has changed');
  }

  close(): void {
    clearInterval(this.#poll);
    clearTimeout(this.#settling);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  /** @returns whether any file has changed */
  #checkAll(): boolean {
    return this.#watched.map((watched) => this.#checkOne(watched)).includes(true);
  }

  /** @returns whether the files have changed */
  #checkOne(watched: Watched): boolean {
    const { name, paths } = watched.files;
    const digest = digestOf(paths);
    const isChanged = digest !== watched.digest;
    if (!isChanged && !watched.isUntimely) return false;
    watched.digest = digest;
    try {
      watched.files.reload();
      watched.isUntimely = false;
      this.#reloads.inc({ files: name, outcome: 'used' });
      this.#logger.info({ files: name, paths }, 'reloaded');
    } catch (error) {
      watched.isUntimely = error instanceof UntimelyFilesError;
      // Logged when it changed.
      if (!isChanged) return false;
      this.#reloads.inc({ files: name, outcome: 'refused' });
      const { message } = error as Error;
      this.#logger.warn(
        { files: name, detail: message },
        'new files are invalid, the previous ones stay in use',
      );
    }
    return true;
  }

  #watch(directory: string): void {
    if (this.#watchers.has(directory)) return;
    try {
      const watcher = watch(directory, { persistent: false }, () => this.#onEvent());
      watcher.on('error', (error) => this.#warnUnwatched(directory, error));
      this.#watchers.set(directory, watcher);
    } catch (error) {
      this.#warnUnwatched(directory, error as Error);
    }
  }

  /** Delays the check by a fixed time. A debounce could wait forever in a directory that changes all the time. */
  #onEvent(): void {
    this.#settling ??= setTimeout(() => {
      this.#settling = undefined;
      this.#checkAll();
    }, settleMs).unref();
  }

  #warnUnwatched(directory: string, error: Error): void {
    this.#logger.warn(
      { directory, detail: error.message, intervalMs: this.#intervalMs },
      'cannot watch directory, checking its files at an interval only',
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
