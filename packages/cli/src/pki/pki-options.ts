/** Options and messages that several commands share. */
import type { SignedCertificate } from '@fairlead/pki';
import { kinds, option } from '@fairlead/runtime/options';

const group = 'Certificates';

export const directory = { ...kinds.filePath, placeholder: 'DIR' };

/** A list whose items the pki package checks, one by one. */
export const nameList = (placeholder: string) => kinds.list({ ...kinds.text, placeholder });

export const namesOption = (placeholder: string, description: string) =>
  option(nameList(placeholder), { group, description, default: [] });

export const daysOption = (description: string, defaultDays: number) =>
  option(
    { ...kinds.integer(1, 36_500), placeholder: 'DAYS' },
    { group, description, default: defaultDays },
  );

export const keyOptions = {
  'key-type': option(kinds.oneOf('ec', 'rsa'), {
    group,
    description: 'Key type: EC P-256, or RSA for peers that require it',
    default: 'ec',
  }),
  force: option(kinds.boolean, {
    group: 'Files',
    description: 'Replace existing files, including keys',
    default: false,
  }),
};

export const caOption = option(directory, {
  group: 'Files',
  description:
    'Directory with ca.crt and ca.key, such as the agent/ directory of fairlead pki init',
  required: true,
});

/** @param kind a list of networks */
export const cidrOption = (kind: ReturnType<typeof nameList>) =>
  option(kind, {
    group: 'Agent',
    description:
      'Network that the agent can claim: 10.1.0.0/16, or 10.1.0.0/16-24 to include its subnets; can be repeated',
    default: [],
  });

export const defaultRouteOption = option(kinds.boolean, {
  group: 'Agent',
  description: 'The agent can claim all targets that no other agent claims',
  default: false,
});

/** A path as one word of a shell. */
export const shellWord = (path: string): string =>
  /^[\w./:@%+,-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;

export const dayOf = (at: Date): string => at.toISOString().slice(0, 10);

/** Warns on stderr if a certificate has fewer days than requested. */
export function warnIfClamped(
  program: string,
  { clampedToAuthority, notAfter }: SignedCertificate,
  days: number,
): void {
  if (!clampedToAuthority) return;
  process.stderr.write(
    `${program}: warning: --days: a certificate cannot outlive its CA; it expires at ${notAfter.toISOString()}, before ${days} days\n`,
  );
}
