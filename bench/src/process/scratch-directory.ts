import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const open = new Set<string>();

process.on('exit', () => {
  for (const path of open) rmSync(path, { recursive: true, force: true, maxRetries: 10 });
});

/** An empty directory. `close` removes it, and so does an interruption of the bench. */
export class ScratchDirectory {
  readonly path: string;

  constructor() {
    // The path of a Unix domain socket has at most 107 bytes.
    this.path = mkdtempSync(join(tmpdir(), 'fairlead-'));
    open.add(this.path);
  }

  async close(): Promise<void> {
    rmSync(this.path, { recursive: true, force: true });
    open.delete(this.path);
  }
}
