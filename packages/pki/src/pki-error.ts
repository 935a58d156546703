/** Why a request failed, for programs. The codes are stable. */
export type PkiErrorCode =
  | 'bad_name'
  | 'bad_organization'
  | 'bad_host'
  | 'bad_ip'
  | 'bad_uri'
  | 'bad_cidr'
  | 'bad_days'
  | 'bad_request'
  | 'authority_unusable'
  | 'file_exists';

/**
 * A request that the caller must change. Failures of the machine, such as a full disk or a forbidden
 * directory, stay Node's own errors.
 */
export class PkiError extends Error {
  override readonly name = 'PkiError';
  readonly code: PkiErrorCode;

  constructor(code: PkiErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
