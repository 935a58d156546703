/** The TLS files that flags name, checked at start and made into a secure context. */
import type { SecureContextOptions } from 'node:tls';
import { UsageError } from '../process/usage-error.ts';
import type { FileExpiry } from './certificate-expiry.ts';
import { type CertificatePurpose, checkAuthority, checkPurpose } from './certificate-purpose.ts';
import {
  explainCertificateDates,
  type FileCertificates,
  refuseUntimely,
} from './certificate-replacement.ts';
import { type NamedFile, readCertificateFile, readKeyFile } from './pem-file.ts';
import { opensslCiphers, secureVersion, type TlsVersionName } from './tls-names.ts';

export interface TlsFilesSpec {
  /** What this side shows, with its key. */
  readonly identity?:
    | {
        readonly cert: NamedFile;
        readonly key: NamedFile;
        /** What it is shown as; without it any certificate will do. */
        readonly purpose?: CertificatePurpose;
      }
    | undefined;
  /** Whom this side trusts; without it Node's public CAs. */
  readonly ca?: NamedFile | undefined;
  /** Go's names; empty for the default ones. */
  readonly cipherSuites: readonly string[];
  readonly minVersion: TlsVersionName;
  /** What is in use; certificates out of their time do not take the place of such as are not. */
  readonly inUse?: Pick<TlsFiles, 'certificates'> | undefined;
}

export interface TlsFiles {
  /** For tls.createServer, tls.connect and tls.createSecureContext. */
  readonly context: SecureContextOptions;
  /** One line each: certificates that are out of their time. They are used all the same. */
  readonly warnings: readonly string[];
  /** When the certificates of each file end. */
  readonly expiries: readonly FileExpiry[];
  readonly certificates: readonly FileCertificates[];
}

/**
 * Reads and checks the files.
 *
 * A certificate that has expired is a warning, unless a valid one is in use: the clock may be what is wrong,
 * and the peer decides.
 *
 * @throws UsageError: one line with flag, file and cure; UntimelyFilesError where time may help
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
        `${keyFile.flag}: ${keyFile.path}: does not match the certificate in ${certFile.flag} ${certFile.path}; give the key that the certificate was made for`,
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
    .map((fault) => `${flag}: ${path}: ${fault}; issue a new one, or set the clock`);
}
