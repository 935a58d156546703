import { accessSync, constants, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { findProgram } from './process/find-program.ts';

/**
 * Checks before a run that the results can be written after it.
 * @throws Error with the flag and the cure
 */
export function writableFile(flag: string, path: string): string {
  if (path === '') throw new Error(`${flag}: the path is empty. Name a file.`);
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    throw new Error(`${flag}: ${path}: is a directory. Name a file in it.`);
  }
  const folder = dirname(path);
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw new Error(`${flag}: ${path}: the directory ${folder} does not exist. Create it.`);
  }
  checkWritable(flag, path);
  return path;
}

/**
 * Checks before a run that the report can be written after it. The report creates missing directories.
 * @throws Error with the flag and the cure
 */
export function writableReport(flag: string, path: string): string {
  if (path === '') throw new Error(`${flag}: the path is empty. Name a directory.`);
  for (const part of [path, join(path, 'charts'), join(path, 'RESULTS.md')]) {
    checkWritable(flag, part);
  }
  return path;
}

/** Checks the path, or the nearest existing parent of a missing path. */
function checkWritable(flag: string, path: string): void {
  const absolute = resolve(path);
  for (let existing = absolute; ; existing = dirname(existing)) {
    try {
      const found = statSync(existing);
      if (existing !== absolute && !found.isDirectory()) {
        throw new Error(`${flag}: ${path}: ${existing} is not a directory. Name another path.`);
      }
      accessSync(existing, constants.W_OK);
      return;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ENOTDIR') continue;
      if (code === undefined) throw error;
      const problem = `${existing} is not writable (${code}). Name another path.`;
      throw new Error(`${flag}: ${path}: ${problem}`, { cause: error });
    }
  }
}

/**
 * The path of a node binary. A name without a slash is looked up in PATH.
 * @throws Error with the flag and the cure
 */
export function nodeBinary(flag: string, given: string): string {
  const path = given.includes('/') ? given : findProgram(given);
  try {
    if (path === undefined || !statSync(path).isFile()) throw new Error('not a file');
    accessSync(path, constants.X_OK);
    return path;
  } catch (error) {
    throw new Error(`${flag}: ${given}: not an executable file. Name a node binary.`, {
      cause: error,
    });
  }
}
