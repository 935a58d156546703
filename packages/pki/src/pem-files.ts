import { randomUUID } from 'node:crypto';
import { lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PkiError } from './pki-error.ts';

/** One file to write. */
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
  const written: string[] = [];
  try {
    for (const file of files) await create(file.path, file, written);
  } catch (error) {
    await removeAll(written);
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new PkiError('file_exists', `${(error as NodeJS.ErrnoException).path} already exists`);
  }
}

async function replaceAll(files: readonly PemFile[]): Promise<void> {
  const written: string[] = [];
  const besides = files.map((file) => ({ file, path: `${file.path}.${randomUUID()}.new` }));
  try {
    for (const { file, path } of besides) await create(path, file, written);
    for (const { file, path } of besides) await rename(path, file.path);
  } catch (error) {
    await removeAll(written);
    throw error;
  }
}

/** Fails if the path exists. Adds it to `written` before writing, so that a failed write is cleaned up. */
async function create(path: string, file: PemFile, written: string[]): Promise<void> {
  const handle = await open(path, 'wx', file.mode);
  written.push(path);
  try {
    // The umask may have removed bits, and other users must be able to read the certificates.
    await handle.chmod(file.mode);
    await handle.writeFile(file.pem);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const removeAll = (paths: readonly string[]): Promise<unknown> =>
  Promise.all(paths.map((path) => rm(path, { force: true })));

const exists = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return false;
      throw error;
    },
  );
