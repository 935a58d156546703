import { PkiError, type PkiErrorCode } from '@fairlead/pki';
import { StartupError, UsageError } from '@fairlead/runtime/process';

interface Place {
  /** The flag that holds what was refused. */
  readonly flag: string;
  readonly cure?: string;
}

/** Where the flags of a command have other names than those of pki issue. */
export type OtherPlaces = Readonly<Partial<Record<PkiErrorCode, Place>>>;

const places: Readonly<Record<PkiErrorCode, Place>> = {
  bad_name: { flag: '--name' },
  bad_organization: { flag: '--org' },
  bad_host: { flag: '--host' },
  bad_ip: { flag: '--ip' },
  bad_uri: { flag: '--cidr' },
  bad_cidr: { flag: '--cidr' },
  bad_days: { flag: '--days' },
  bad_request: { flag: '--csr' },
  authority_unusable: { flag: '--ca' },
  file_exists: { flag: '--out', cure: '--force replaces it' },
};

/**
 * Does the work of a pki command, whose failures then read as ones of its flags: UsageError for
 * what the flags asked, StartupError for a file system that would not have it.
 */
export async function withFlagsNamed<T>(
  work: () => Promise<T>,
  otherPlaces: OtherPlaces = {},
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof PkiError) {
      const { flag, cure } = otherPlaces[error.code] ?? places[error.code];
      const ending = cure === undefined ? '' : `; ${cure}`;
      throw new UsageError(`${flag}: ${error.message}${ending}`, { cause: error });
    }
    if (isSystemError(error)) {
      // A rename's own path is a temporary file; the operator knows the one that it was for.
      const path = error.dest ?? error.path;
      throw new StartupError(`cannot ${error.syscall} ${path}: ${reason(error)}`, { cause: error });
    }
    throw error;
  }
}

type SystemError = NodeJS.ErrnoException & { readonly dest?: string };

const isSystemError = (error: unknown): error is SystemError =>
  error instanceof Error && 'syscall' in error && 'path' in error;

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied; choose a directory that you may write to',
  EPERM: 'permission denied; choose a directory that you may write to',
  EROFS: 'the file system is read-only; choose another directory',
  ENOSPC: 'the disk is full',
  EEXIST: 'a file is where a directory should be',
  ENOTDIR: 'a file is where a directory should be',
  EISDIR: 'a directory is where a file should be',
};

const reason = (error: NodeJS.ErrnoException): string => reasons[error.code ?? ''] ?? error.message;
