import type { X509Certificate } from 'node:crypto';
import { UsageError } from '../process/usage-error.ts';
import { subjectOf } from './certificate-identity.ts';
import type { NamedFile } from './pem-file.ts';

/** What a certificate is shown as. */
export type CertificatePurpose = 'server' | 'client';

/** Extended key usages of RFC 5280 section 4.2.1.12. */
const usages = {
  server: { oid: '1.3.6.1.5.5.7.3.1', name: 'serverAuth' },
  client: { oid: '1.3.6.1.5.5.7.3.2', name: 'clientAuth' },
} as const;
const anyUsage = '2.5.29.37.0';

/**
 * Peers refuse a certificate whose extended key usage leaves out what it is shown as. One without that
 * extension is good for everything.
 *
 * @throws UsageError: one line with flag, file and cure
 */
export function checkPurpose(
  { flag, path }: NamedFile,
  { keyUsage: found }: X509Certificate,
  purpose: CertificatePurpose,
): void {
  const { oid, name } = usages[purpose];
  // Node calls keyUsage what is the extended one. It is undefined for certificates without it.
  if (!found || found.includes(oid) || found.includes(anyUsage)) return;
  const names = found.map((each) => nameOf(each)).join(', ');
  throw new UsageError(
    `${flag}: ${path}: the certificate is for ${names} and not for ${name} (extended key usage), so that peers refuse it; give one that was issued for a ${purpose}`,
  );
}

const nameOf = (oid: string): string =>
  Object.values(usages).find((usage) => usage.oid === oid)?.name ?? oid;

/**
 * A bundle without a CA vouches for nobody. A certificate that signed itself may be one without saying so.
 *
 * @throws UsageError: one line with flag, file and cure
 */
export function checkAuthority(
  { flag, path }: NamedFile,
  certificates: readonly X509Certificate[],
): void {
  if (certificates.some((each) => each.ca || each.subject === each.issuer)) return;
  const subjects = certificates.map(subjectOf);
  throw new UsageError(
    `${flag}: ${path}: holds no CA but ${subjects.join('; ')}, and so vouches for nobody; give the certificate of the CA that signed for the peers`,
  );
}
