import type { X509Certificate } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';
import { UsageError } from '../process/startup-error.ts';
import type { FileExpiry } from './certificate-expiry.ts';
import { subjectOf } from './certificate-identity.ts';
import { checkAuthority, checkPurpose } from './certificate-purpose.ts';
import { explainDates } from './certificate-verdict.ts';
import { type NamedFile, readCertificateFile, readKeyFile } from './pem-file.ts';
import { opensslCiphers, secureVersion, type TlsVersionName } from './tls-names.ts';

export interface TlsFilesSpec {
  /** The certificate that this side presents, with its key. */
  readonly identity?:
    | {
        readonly cert: NamedFile;
        readonly key: NamedFile;
        /** Required extended key usage; undefined: any. */
        readonly purpose?: 'server' | 'client';
      }
    | undefined;
  /** The CAs that this side trusts; undefined: Node's public CAs. */
  readonly ca?: NamedFile | undefined;
  /** Go's names; empty: the defaults. */
  readonly cipherSuites: readonly string[];
  readonly minVersion: TlsVersionName;
  /** The files in use. Expired or future certificates do not replace valid ones. */
  readonly inUse?: Pick<TlsFiles, 'certificates'> | undefined;
}

/** The certificates of one file: a chain that starts with this side's own, or trusted CAs. */
interface FileCertificates extends NamedFile {
  readonly role: 'identity' | 'ca';
  readonly certificates: readonly X509Certificate[];
}

export interface TlsFiles {
  /** For tls.createServer, tls.connect and tls.createSecureContext. */
  readonly context: SecureContextOptions;
  /** One line for each certificate that has expired or is not valid yet. It is used nevertheless. */
  readonly warnings: readonly string[];
  readonly expiries: readonly FileExpiry[];
  readonly certificates: readonly FileCertificates[];
}

/**
 * Reads and checks the files.
 *
 * An expired certificate causes a warning only, unless a valid one is in use: this machine's clock may be
 * wrong, and the peer decides.
 *
 * @throws UsageError: one line with flag, file and cure; UntimelyFilesError if the files may become valid later
 */
export function loadTlsFiles(spec: TlsFilesSpec, now: Date = new Date()): TlsFiles {
  const files: FileCertificates[] = [];
  const context: SecureContextOptions = {
    minVersion: secureVersion(spec.minVersion),
    ciphers: opensslCiphers(spec.cipherSuites),
    ...(spec.cipherSuites.length > 0 && { honorCipherOrder: true }),
  };
  if (spec.identity) {
    const { cert: certFile, key: keyFile, purpose } = spec.identity;
    const { pem, certificates } = readCertificateFile(certFile);
    const key = readKeyFile(keyFile);
    const [leaf] = certificates;
    if (!leaf.checkPrivateKey(key.key)) {
      throw new UsageError(
        `${keyFile.flag}: ${keyFile.path}: does not match the certificate in ${certFile.flag} ${certFile.path}. Use the key of that certificate`,
      );
    }
    if (purpose) checkPurpose(certFile, leaf, purpose);
    context.cert = pem;
    context.key = key.pem;
    files.push({ ...certFile, role: 'identity', certificates });
  }
  if (spec.ca) {
    const { pem, certificates } = readCertificateFile(spec.ca);
    checkAuthority(spec.ca, certificates);
    context.ca = pem;
    files.push({ ...spec.ca, role: 'ca', certificates });
  }
  refuseUntimely(spec.inUse?.certificates ?? [], files, now);
  return {
    context,
    warnings: files.flatMap((file) => datesWarnings(file, now)),
    expiries: files.map(firstExpiry),
    certificates: files,
  };
}

function firstExpiry({ flag, path, certificates }: FileCertificates): FileExpiry {
  const ends = certificates.map(({ validTo }) => new Date(validTo).getTime());
  return { flag, path, notAfter: new Date(Math.min(...ends)) };
}

function datesWarnings({ flag, path, certificates }: FileCertificates, now: Date): string[] {
  return certificates
    .map((certificate) => explainCertificateDates(certificate, now))
    .filter((fault) => fault !== undefined)
    .map((fault) => `${flag}: ${path}: ${fault}. Issue a new one, or correct the clock`);
}

/** Files that are not valid now, and may become valid without a change to them. */
export class UntimelyFilesError extends UsageError {}

/**
 * Refuses to replace valid certificates by expired or future ones. If both are invalid, the clock may be
 * wrong, and the new ones are accepted.
 *
 * @throws UntimelyFilesError: one line with flag, file and cure
 */
function refuseUntimely(
  inUse: readonly FileCertificates[],
  next: readonly FileCertificates[],
  now: Date,
): void {
  for (const file of next) {
    const fault = faultOf(file, now);
    const old = inUse.find(({ flag }) => flag === file.flag);
    if (fault === undefined || old === undefined || faultOf(old, now) !== undefined) continue;
    throw new UntimelyFilesError(
      `${file.flag}: ${file.path}: ${fault}, while the certificate in use is still valid. Issue a new one, or correct the clock`,
    );
  }
}

/** In a chain only the first counts, since peers may not need the others. One valid CA is enough. */
function faultOf({ role, certificates }: FileCertificates, now: Date): string | undefined {
  const faults = certificates.map((certificate) => explainCertificateDates(certificate, now));
  if (role === 'identity') return faults[0];
  return faults.includes(undefined) ? undefined : faults[0];
}

/** Names the certificate and says why it is not valid now; undefined if it is. */
function explainCertificateDates(certificate: X509Certificate, now: Date): string | undefined {
  const { validFrom: from, validTo: to } = certificate;
  const dates = explainDates({ from, to }, 'the clock of this machine', now);
  return dates && `${subjectOf(certificate)} ${dates}`;
}
