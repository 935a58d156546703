import { parseToken } from '@fairlead/pki/enrollment';
import { readNamedFile } from '@fairlead/runtime/options';
import { UsageError } from '@fairlead/runtime/process';
import type { AgentOptions } from '../options.ts';

export const hasToken = ({ enrollmentToken, enrollmentTokenFile }: AgentOptions): boolean =>
  enrollmentToken !== undefined || enrollmentTokenFile !== undefined;

/**
 * Reads the token to join with, at each call.
 * @throws UsageError if there is none; the text never contains what was read
 */
export function readToken({ enrollmentToken, enrollmentTokenFile }: AgentOptions): string {
  const origin =
    enrollmentTokenFile === undefined ? 'FAIRLEAD_ENROLLMENT_TOKEN' : '--enrollment-token-file';
  const text =
    enrollmentTokenFile === undefined
      ? enrollmentToken
      : readNamedFile(origin, enrollmentTokenFile);
  if (text === undefined) {
    throw new UsageError(
      '--identity-dir holds no certificate yet: give a token that fairlead token create printed, by --enrollment-token-file or FAIRLEAD_ENROLLMENT_TOKEN',
    );
  }
  const token = parseToken(text.trim());
  if (!token) {
    const where = enrollmentTokenFile === undefined ? '' : `${enrollmentTokenFile}: `;
    throw new UsageError(
      `${origin}: ${where}holds no token in the format that fairlead token create prints`,
    );
  }
  return token.text;
}
