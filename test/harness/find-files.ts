import { readdirSync, statSync } from 'node:fs';
import { join, posix, sep } from 'node:path';
import { type Suite, type SuiteName, suiteNames, suites } from './suites.ts';

/** The test files of one suite: sources, from the root, sorted. */
function filesOf(root: string, name: SuiteName): string[] {
  const { folders } = suites[name] as Suite;
  return folders
    .flatMap((folder) => expand(root, folder))
    .flatMap((path) => (path.endsWith('.ts') ? [path] : filesBelow(root, path)))
    .sort();
}

function filesBelow(root: string, folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts'))
    .map((path) => posix.join(folder, path.split(sep).join('/')));
}

/** The paths that a pattern stands for: one star stands for any folder. */
function expand(root: string, pattern: string): string[] {
  const [parent, child] = pattern.split('/*/');
  if (child === undefined) return [pattern];
  return readdirSync(join(root, parent!))
    .map((name) => posix.join(parent!, name, child))
    .filter((path) => statSync(join(root, path), { throwIfNoEntry: false }) !== undefined);
}

/**
 * The files to run, by suite. Without suites, paths choose from all of them, and each file runs once, as
 * the first suite that has it says; without either, the main suite runs.
 * @param paths folders, source files or their compiled twins, from the root
 * @throws Error for a path below which none of the suites has a file
 */
export function selectFiles(
  root: string,
  names: readonly SuiteName[],
  paths: readonly string[],
): Map<SuiteName, string[]> {
  const wanted = paths.map(normalize);
  const found = new Set<string>();
  const taken = new Set<string>();
  const selected = new Map<SuiteName, string[]>();
  const candidates = names.length > 0 ? names : wanted.length > 0 ? suiteNames : ['main' as const];
  for (const name of candidates) {
    const files = filesOf(root, name).filter((file) => {
      if (names.length === 0 && taken.has(file)) return false;
      const below = wanted.filter((path) => file === path || file.startsWith(`${path}/`));
      for (const path of below) found.add(path);
      return wanted.length === 0 || below.length > 0;
    });
    for (const file of files) taken.add(file);
    if (files.length > 0) selected.set(name, files);
  }
  const unknown = wanted.find((path) => !found.has(path));
  if (unknown !== undefined) throw new Error(`${unknown}: no test file there`);
  return selected;
}

function normalize(path: string): string {
  return path
    .split(sep)
    .join('/')
    .replace(/^build\//, '')
    .replace(/\.js$/, '.ts')
    .replace(/\/+$/, '');
}
