import { type StatsListener, unwatchFile, watchFile } from 'node:fs';

const DEFAULT_INTERVAL_MS = 1_000;

/**
 * Tells when a path leads to another file or other content than before.
 *
 * By asking the file system once a second: it follows symbolic links, so that the swap with which
 * Kubernetes updates a mounted volume is seen like an edit, and it works on every file system. It does
 * not keep the process alive.
 */
export class WatchedFile {
  readonly #path: string;
  readonly #listener: StatsListener;

  constructor(path: string, onChange: () => void, intervalMs = DEFAULT_INTERVAL_MS) {
    this.#path = path;
    this.#listener = () => onChange();
    watchFile(path, { interval: intervalMs, persistent: false }, this.#listener);
  }

  close(): void {
    unwatchFile(this.#path, this.#listener);
  }
}
