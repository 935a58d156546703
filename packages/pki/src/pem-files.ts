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

export interface WriteOptions {
  /** Replace what exists; default false. */
  readonly force?: boolean;
}

/** A certificate and its private key in PEM. */
export interface PemPair {
  readonly certPem: string;
  readonly keyPem: string;
}

/** Where a certificate and its key lie: `DIR/NAME.crt` and `DIR/NAME.key`. */
export const certificatePaths = (dir: string, name: string): { cert: string; key: string } => ({
  cert: join(dir, `${name}.crt`),
  key: join(dir, `${name}.key`),
});

/** A certificate's file, which everybody may read. */
export const certificateFile = (dir: string, name: string, certPem: string): PemFile => ({
  path: certificatePaths(dir, name).cert,
  pem: certPem,
  mode: 0o644,
});

/** The two files of a certificate: everybody may read the one, its owner alone the key. */
export function pemPair(dir: string, name: string, pems: PemPair): PemFile[] {
  const { key } = certificatePaths(dir, name);
  return [certificateFile(dir, name, pems.certPem), { path: key, pem: pems.keyPem, mode: 0o600 }];
}

/** Throws PkiError `file_exists` for the first path that is taken, even by a dangling link. */
export async function refuseExisting(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    if (await exists(path)) throw new PkiError('file_exists', `${path} exists already`);
  }
}

/**
 * Writes all files or, as far as the file system lets it, none; directories that are missing are
 * made with mode 0700.
 *
 * Without `force` nothing is ever overwritten: a file that appears meanwhile is an error too, and
 * what this call wrote is removed again. With it each file is replaced in one step, so that a
 * reader sees the old or the new one, and only after all have been written out beside their place.
 *
 * Throws PkiError `file_exists`, or Node's own error.
 */
export async function writePemFiles(
  files: readonly PemFile[],
  options: WriteOptions = {},
): Promise<void> {
  if (options.force !== true) await refuseExisting(files.map(({ path }) => path));
  for (const dir of new Set(files.map(({ path }) => dirname(path)))) {
    await mkdir(dir, { recursive: true, mode: 0o700 });
  }
  await (options.force === true ? replaceAll(files) : createAll(files));
}

async function createAll(files: readonly PemFile[]): Promise<void> {
  const written: string[] = [];
  try {
    for (const file of files) await create(file.path, file, written);
  } catch (error) {
    await removeAll(written);
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new PkiError('file_exists', `${(error as NodeJS.ErrnoException).path} exists already`);
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

/** Fails if the path is taken; notes it in `written` before there is anything to clean up. */
async function create(path: string, file: PemFile, written: string[]): Promise<void> {
  const handle = await open(path, 'wx', file.mode);
  written.push(path);
  try {
    // The umask may have taken bits away, and others have to read the certificates.
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
