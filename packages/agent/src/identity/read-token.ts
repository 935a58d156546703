import { parseToken } from '@fairlead/pki/enrollment';
import { readNamedFile } from '@fairlead/runtime/options';
import { UsageError } from '@fairlead/runtime/process';
import type { AgentOptions } from '../options.ts';

/** Whether the options contain an enrollment token. */
export const hasToken = ({ enrolmentToken, enrolmentTokenFile }: AgentOptions): boolean =>
  enrolmentToken !== undefined || enrolmentTokenFile !== undefined;

/**
 * Reads the token to join with, at each call.
 * @throws UsageError if there is none; the text never contains what was read
 */
export function readToken({ enrolmentToken, enrolmentTokenFile }: AgentOptions): string {
  const origin =
    enrolmentTokenFile === undefined ? 'FAIRLEAD_ENROLMENT_TOKEN' : '--enrolment-token-file';
  const text =
    enrolmentTokenFile === undefined ? enrolmentToken : readNamedFile(origin, enrolmentTokenFile);
  if (text === undefined) {
    throw new UsageError(
      '--identity-dir holds no certificate yet: give a token that fairlead token create printed, by --enrolment-token-file or FAIRLEAD_ENROLMENT_TOKEN',
    );
  }
  const token = parseToken(text.trim());
  if (!token) {
    const where = enrolmentTokenFile === undefined ? '' : `${enrolmentTokenFile}: `;
    throw new UsageError(
      `${origin}: ${where}holds no token in the format that fairlead token create prints`,
    );
  }
  return token.text;
}
