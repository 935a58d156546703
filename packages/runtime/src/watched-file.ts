import { statSync } from 'node:fs';
import { stat } from 'node:fs/promises';

const DEFAULT_INTERVAL_MS = 1_000;

/** What differs between two files, or two states of one. */
interface Fingerprint {
  readonly dev: number;
  readonly ino: number;
  readonly size: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
}

function textOf({ dev, ino, size, mtimeMs, ctimeMs }: Fingerprint): string {
  return [dev, ino, size, mtimeMs, ctimeMs].join();
}

/**
 * Tells when a path leads to another file or other content than when this was made.
 *
 * By asking the file system once a second: it follows symbolic links, so that the swap with which
 * Kubernetes updates a mounted volume is seen like an edit, and it works on every file system. Not by
 * fs.watchFile, which begins to look some time after it was called and misses what changes till then.
 * It does not keep the process alive.
 */
export class WatchedFile {
  readonly #path: string;
  readonly #onChange: () => void;
  readonly #timer: NodeJS.Timeout;
  /** Empty while the path leads nowhere. */
  #known: string;

  constructor(path: string, onChange: () => void, intervalMs = DEFAULT_INTERVAL_MS) {
    this.#path = path;
    this.#onChange = onChange;
    const found = statSync(path, { throwIfNoEntry: false });
    this.#known = found ? textOf(found) : '';
    this.#timer = setInterval(() => void this.#look(), intervalMs);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    const found = await stat(this.#path).then(textOf, () => '');
    if (found === this.#known) return;
    this.#known = found;
    this.#onChange();
  }
}
