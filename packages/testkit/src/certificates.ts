import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeFairleadPki } from './fairlead-pki.ts';
import type { TestPki } from './test-pki.ts';

const shared = new Map<unknown, Promise<TestPki>>();

/**
 * The test certificates of this process, made on the first call and removed when the process
 * ends. Callers must not change the files.
 *
 * @param make who makes them: `makeFairleadPki`, or `makeOpensslPki` where the point is that
 *   certificates of others work too
 */
export function sharedTestPki(
  make: (directory: string) => Promise<TestPki> = makeFairleadPki,
): Promise<TestPki> {
  let pki = shared.get(make);
  if (!pki) {
    const directory = mkdtempSync(join(tmpdir(), 'fairlead-pki-'));
    process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
    pki = make(directory);
    shared.set(make, pki);
  }
  return pki;
}
