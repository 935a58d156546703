import type { X509Certificate } from 'node:crypto';
import { UsageError } from '../process/startup-error.ts';
import { subjectOf } from './certificate-identity.ts';
import type { NamedFile } from './pem-file.ts';

/** Extended key usages of RFC 5280 section 4.2.1.12. */
const usages = {
  server: { oid: '1.3.6.1.5.5.7.3.1', name: 'serverAuth' },
  client: { oid: '1.3.6.1.5.5.7.3.2', name: 'clientAuth' },
} as const;
const anyUsage = '2.5.29.37.0';

/**
 * Checks the extended key usage, as peers will. A certificate without that extension may be used for
 * everything.
 *
 * @throws UsageError: one line with flag, file and cure
 */
export function checkPurpose(
  { flag, path }: NamedFile,
  { keyUsage: found }: X509Certificate,
  purpose: 'server' | 'client',
): void {
  const { oid, name } = usages[purpose];
  // Node's keyUsage is the extended key usage.
  if (!found || found.includes(oid) || found.includes(anyUsage)) return;
  const names = found.map((each) => nameOf(each)).join(', ');
  throw new UsageError(
    `${flag}: ${path}: the certificate is for ${names} and not for ${name} (extended key usage), so peers refuse it. Use one that was issued for a ${purpose}`,
  );
}

const nameOf = (oid: string): string =>
  Object.values(usages).find((usage) => usage.oid === oid)?.name ?? oid;

/**
 * Checks that a bundle contains a CA. A self-signed certificate counts as one even without the CA flag.
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
    `${flag}: ${path}: contains no CA, only ${subjects.join('; ')}. Use the certificate of the CA that signed the peers' certificates`,
  );
}
