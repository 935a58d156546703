import { randomUUID } from 'node:crypto';
import { lstat, mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { writeNewFile } from '@fairlead/runtime/process';
import { PkiError } from './pki-error.ts';

export interface PemFile {
  readonly path: string;
  readonly pem: string;
  /** 0644 for a certificate, 0600 for a key. */
  readonly mode: 0o644 | 0o600;
}

/** The files of a certificate and its key: `DIR/NAME.crt` and `DIR/NAME.key`. */
export const certificatePaths = (dir: string, name: string): { cert: string; key: string } => ({
  cert: join(dir, `${name}.crt`),
  key: join(dir, `${name}.key`),
});

/** A certificate's file, readable by all users. */
export const certificateFile = (dir: string, name: string, certPem: string): PemFile => ({
  path: certificatePaths(dir, name).cert,
  pem: certPem,
  mode: 0o644,
});

/** The files of a certificate, readable by all users, and of its key, readable by its owner only. */
export function pemPair(
  dir: string,
  name: string,
  { certPem, keyPem }: { readonly certPem: string; readonly keyPem: string },
): PemFile[] {
  const { key } = certificatePaths(dir, name);
  return [certificateFile(dir, name, certPem), { path: key, pem: keyPem, mode: 0o600 }];
}

/** Throws PkiError `file_exists` for the first path that exists, even as a dangling link. */
export async function refuseExisting(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    if (await exists(path)) throw new PkiError('file_exists', `${path} already exists`);
  }
}

/**
 * Writes all files or, as far as the file system allows, none. Creates missing directories with mode
 * 0700.
 *
 * Without `force` (the default) it overwrites nothing: a file that appears meanwhile is an error too, and
 * the files that this call wrote are removed. With `force` it writes all files under temporary names, then
 * replaces each file in one step, so that a reader sees either the old or the new one.
 *
 * Throws PkiError `file_exists`, or Node's own error.
 */
export async function writePemFiles(
  files: readonly PemFile[],
  { force = false }: { readonly force?: boolean } = {},
): Promise<void> {
  if (!force) await refuseExisting(files.map(({ path }) => path));
  for (const dir of new Set(files.map(({ path }) => dirname(path)))) {
    await mkdir(dir, { recursive: true, mode: 0o700 });
  }
  await (force ? replaceAll(files) : createAll(files));
}

async function createAll(files: readonly PemFile[]): Promise<void> {
  try {
    await writeNewFiles(files);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new PkiError('file_exists', `${(error as NodeJS.ErrnoException).path} already exists`);
  }
}

async function replaceAll(files: readonly PemFile[]): Promise<void> {
  const besides = files.map((file) => ({ ...file, path: `${file.path}.${randomUUID()}.new` }));
  await writeNewFiles(besides);
  try {
    for (const [index, { path }] of files.entries()) await rename(besides[index]!.path, path);
  } catch (error) {
    await removeAll(besides);
    throw error;
  }
}

/** Writes all files, or removes those that it wrote. */
async function writeNewFiles(files: readonly PemFile[]): Promise<void> {
  for (const [index, { path, pem, mode }] of files.entries()) {
    try {
      await writeNewFile(path, pem, mode);
    } catch (error) {
      await removeAll(files.slice(0, index));
      throw error;
    }
  }
}

const removeAll = (files: readonly PemFile[]): Promise<unknown> =>
  Promise.all(files.map(({ path }) => rm(path, { force: true })));

const exists = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return false;
      throw error;
    },
  );
