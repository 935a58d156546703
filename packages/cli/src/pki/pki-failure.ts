import { PkiError, type PkiErrorCode } from '@fairlead/pki';
import { StartupError, UsageError } from '@fairlead/runtime/process';

/** The flag of `fairlead pki issue` that causes an error. */
const flags: Readonly<Record<PkiErrorCode, string>> = {
  bad_name: '--name',
  bad_organization: '--org',
  bad_host: '--host',
  bad_ip: '--ip',
  bad_uri: '--cidr',
  bad_cidr: '--cidr',
  bad_days: '--days',
  bad_request: '--csr',
  authority_unusable: '--ca',
  file_exists: '--out',
};

/**
 * Does the work of a command and translates its errors: PkiError to a UsageError that names the flag, an
 * error of the file system to a StartupError.
 *
 * @param otherFlags the flags of commands that name them differently from `fairlead pki issue`
 */
export async function withFlagsNamed<T>(
  work: () => Promise<T>,
  otherFlags: Readonly<Partial<typeof flags>> = {},
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof PkiError) {
      const flag = otherFlags[error.code] ?? flags[error.code];
      const cure = error.code === 'file_exists' ? '; --force replaces it' : '';
      throw new UsageError(`${flag}: ${error.message}${cure}`, { cause: error });
    }
    if (error instanceof Error && 'syscall' in error && 'path' in error) {
      const { syscall, path, dest, code, message } = error as NodeJS.ErrnoException & {
        readonly dest?: string;
      };
      // The path of a rename is a temporary file; `dest` is the file that the operator knows.
      const text = `cannot ${syscall} ${dest ?? path}: ${reasons[code ?? ''] ?? message}`;
      throw new StartupError(text, { cause: error });
    }
    throw error;
  }
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied; choose a directory that you may write to',
  EPERM: 'permission denied; choose a directory that you may write to',
  EROFS: 'the file system is read-only; choose another directory',
  ENOSPC: 'the disk is full',
  EEXIST: 'a file is where a directory should be',
  ENOTDIR: 'a file is where a directory should be',
  EISDIR: 'a directory is where a file should be',
};
