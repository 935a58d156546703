import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { release } from '@fairlead/runtime/process';

/** The repository's root, seen from this package's `dist`. */
export const root = fileURLToPath(new URL('../../', import.meta.url));

/** The output directory of binaries and packages, which git ignores. */
export const outputDirectory = join(root, 'dist-binaries');

/** The version of the packages and the commit that is checked out. */
export const built = { version: release.version, commit: release.commit() } as const;

/** The fields of a package.json that the scripts use. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
}

export function readManifest(directory: string): Manifest {
  return JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as Manifest;
}

/** The size of a file, such as `130 MB`. */
export function inMegabytes(file: string): string {
  return `${(statSync(file).size / 1e6).toFixed(0)} MB`;
}
