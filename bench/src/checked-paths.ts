import { accessSync, constants, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { findProgram } from './process/find-program.ts';

/**
 * Checks, before anything is measured, that the file can be written afterwards.
 * @throws Error with the flag and the cure
 */
export function writableFile(flag: string, path: string): string {
  if (path === '') throw new Error(`${flag}: names no file`);
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    throw new Error(`${flag}: ${path}: is a directory; name a file in it`);
  }
  const folder = dirname(path);
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw new Error(`${flag}: ${path}: there is no directory ${folder}; create it`);
  }
  checkWritable(flag, path);
  return path;
}

/**
 * The same for the directory of a report, which is made where it is missing.
 * @throws Error with the flag and the cure
 */
export function writableReport(flag: string, path: string): string {
  if (path === '') throw new Error(`${flag}: names no directory`);
  for (const place of [path, join(path, 'charts'), join(path, 'RESULTS.md')]) {
    checkWritable(flag, place);
  }
  return path;
}

/** The path itself, or where it is missing what it would be made in. */
function checkWritable(flag: string, path: string): void {
  const absolute = resolve(path);
  for (let place = absolute; ; place = dirname(place)) {
    try {
      const found = statSync(place);
      if (place !== absolute && !found.isDirectory()) {
        throw new Error(`${flag}: ${path}: ${place} is no directory`);
      }
      accessSync(place, constants.W_OK);
      return;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ENOTDIR') continue;
      if (code === undefined) throw error;
      throw new Error(`${flag}: ${path}: ${place} cannot be written (${code})`, { cause: error });
    }
  }
}

/**
 * The path of a node binary: as it was given, or found in PATH.
 * @throws Error with the flag
 */
export function nodeBinary(flag: string, given: string): string {
  const path = given.includes('/') ? given : findProgram(given);
  try {
    if (path === undefined || !statSync(path).isFile()) throw new Error('no file');
    accessSync(path, constants.X_OK);
    return path;
  } catch (error) {
    throw new Error(`${flag}: ${given}: is no program that can be run`, { cause: error });
  }
}
