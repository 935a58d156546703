import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeFairleadPki } from './fairlead-pki.ts';
import { readTestPki, type TestPki } from './test-pki.ts';

/**
 * The variable with the directory of `makeFairleadPki` for all test files of a run, so that keys are made
 * only once.
 */
export const testPkiVariable = 'FAIRLEAD_TEST_PKI';

const shared = new Map<unknown, Promise<TestPki>>();

/**
 * The test certificates of this run, or of this process if the run has none: made on the first call and
 * removed when the process ends. Callers must not change the files.
 *
 * @param make `makeFairleadPki`, or `makeOpensslPki` to test certificates of another program
 */
export function sharedTestPki(
  make: (directory: string) => Promise<TestPki> = makeFairleadPki,
): Promise<TestPki> {
  let pki = shared.get(make);
  if (!pki) {
    const ofRun = process.env[testPkiVariable];
    pki = ofRun && make === makeFairleadPki ? readTestPki(ofRun) : makeForProcess(make);
    shared.set(make, pki);
  }
  return pki;
}

function makeForProcess(make: (directory: string) => Promise<TestPki>): Promise<TestPki> {
  const directory = mkdtempSync(join(tmpdir(), 'fairlead-pki-'));
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
  return make(directory);
}
