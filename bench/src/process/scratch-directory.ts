import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const open = new Set<string>();

process.on('exit', () => {
  for (const path of open) rmSync(path, { recursive: true, force: true, maxRetries: 10 });
});

/** An empty directory that goes away with `close`, and also when the bench is interrupted. */
export class ScratchDirectory {
  readonly path: string;

  constructor() {
    // Short: the path of a Unix domain socket may have 107 bytes.
    this.path = mkdtempSync(join(tmpdir(), 'fairlead-'));
    open.add(this.path);
  }

  async close(): Promise<void> {
    rmSync(this.path, { recursive: true, force: true });
    open.delete(this.path);
  }
}
