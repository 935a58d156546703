import { parseToken } from '@fairlead/pki/enrollment';
import { readNamedFile } from '@fairlead/runtime/options';
import { UsageError } from '@fairlead/runtime/process';
import type { AgentOptions } from '../options.ts';

type TokenOptions = Pick<AgentOptions, 'enrollmentToken' | 'enrollmentTokenFile'>;

/** Whether a token was given at all. */
export const hasToken = ({ enrollmentToken, enrollmentTokenFile }: TokenOptions): boolean =>
  enrollmentToken !== undefined || enrollmentTokenFile !== undefined;

/**
 * The token to join with, read anew each time.
 * @throws UsageError when there is none; the text never holds what was read
 */
export function readToken({ enrollmentToken, enrollmentTokenFile }: TokenOptions): string {
  const origin =
    enrollmentTokenFile === undefined ? 'FAIRLEAD_ENROLLMENT_TOKEN' : '--enrollment-token-file';
  const text =
    enrollmentTokenFile === undefined
      ? enrollmentToken
      : readNamedFile(origin, enrollmentTokenFile);
  if (text === undefined) {
    throw new UsageError(
      '--identity-dir holds no certificate yet: give a token of fairlead token create, by --enrollment-token-file or FAIRLEAD_ENROLLMENT_TOKEN',
    );
  }
  const token = parseToken(text.trim());
  if (!token) {
    const where = enrollmentTokenFile === undefined ? '' : `${enrollmentTokenFile}: `;
    throw new UsageError(`${origin}: ${where}holds no token as fairlead token create prints it`);
  }
  return token.text;
}
