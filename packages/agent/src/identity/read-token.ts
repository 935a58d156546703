import { parseToken } from '@fairlead/pki/enrollment';
import { readNamedFile } from '@fairlead/runtime/options';
import { UsageError } from '@fairlead/runtime/process';
import type { AgentOptions } from '../options.ts';

type TokenOptions = Pick<AgentOptions, 'enrolmentToken' | 'enrolmentTokenFile'>;

/** Whether a token was given at all. */
export const hasToken = ({ enrolmentToken, enrolmentTokenFile }: TokenOptions): boolean =>
  enrolmentToken !== undefined || enrolmentTokenFile !== undefined;

/**
 * The token to join with, read anew each time.
 * @throws UsageError when there is none; the text never holds what was read
 */
export function readToken({ enrolmentToken, enrolmentTokenFile }: TokenOptions): string {
  const origin =
    enrolmentTokenFile === undefined ? 'FAIRLEAD_ENROLMENT_TOKEN' : '--enrolment-token-file';
  const text =
    enrolmentTokenFile === undefined ? enrolmentToken : readNamedFile(origin, enrolmentTokenFile);
  if (text === undefined) {
    throw new UsageError(
      '--identity-dir holds no certificate yet: give a token of fairlead token create, by --enrolment-token-file or FAIRLEAD_ENROLMENT_TOKEN',
    );
  }
  const token = parseToken(text.trim());
  if (!token) {
    const where = enrolmentTokenFile === undefined ? '' : `${enrolmentTokenFile}: `;
    throw new UsageError(`${origin}: ${where}holds no token as fairlead token create prints it`);
  }
  return token.text;
}
