import type { X509Certificate } from 'node:crypto';
import { UsageError } from '../process/usage-error.ts';
import { explainDates } from './certificate-dates.ts';
import { subjectOf } from './certificate-identity.ts';
import type { NamedFile } from './pem-file.ts';

/** The certificates of a file: what this side shows, the first of them its own; or whom it trusts. */
export interface FileCertificates extends NamedFile {
  readonly role: 'identity' | 'ca';
  readonly certificates: readonly X509Certificate[];
}

/** Files that are no good now and may be later, without a change to them. */
export class UntimelyFilesError extends UsageError {}

/**
 * Refuses to take certificates that are out of their time for such as are not. Where both are, the clock
 * may be what is wrong, and the new ones are as good as the old ones.
 *
 * @throws UntimelyFilesError: one line with flag, file and cure
 */
export function refuseUntimely(
  inUse: readonly FileCertificates[],
  next: readonly FileCertificates[],
  now: Date,
): void {
  for (const file of next) {
    const fault = faultOf(file, now);
    const old = inUse.find(({ flag }) => flag === file.flag);
    if (fault === undefined || old === undefined || faultOf(old, now) !== undefined) continue;
    throw new UntimelyFilesError(
      `${file.flag}: ${file.path}: ${fault}, while what is in use is still valid; issue a new one, or set the clock`,
    );
  }
}

/** Of a chain only the first counts: what is behind it peers may do without. One good CA is enough. */
function faultOf({ role, certificates }: FileCertificates, now: Date): string | undefined {
  const faults = certificates.map((certificate) => explainCertificateDates(certificate, now));
  if (role === 'identity') return faults[0];
  return faults.includes(undefined) ? undefined : faults[0];
}

/** Whose certificate is out of its time, and how; undefined when it is not. */
export function explainCertificateDates(
  certificate: X509Certificate,
  now: Date,
): string | undefined {
  const { validFrom: from, validTo: to } = certificate;
  const dates = explainDates({ from, to }, 'the clock of this machine', now);
  return dates && `${subjectOf(certificate)} ${dates}`;
}
