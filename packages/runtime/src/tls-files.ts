/** The TLS files that flags name, checked at start and made into a secure context. */
import type { X509Certificate } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';
import type { FileExpiry } from './certificate-expiry.ts';
import { type NamedFile, readCertificateFile, readKeyFile } from './pem-file.ts';
import { opensslCiphers, secureVersion, type TlsVersionName } from './tls-names.ts';
import { UsageError } from './usage-error.ts';

export interface TlsFilesSpec {
  /** What this side shows, with its key. */
  readonly identity?: { readonly cert: NamedFile; readonly key: NamedFile } | undefined;
  /** Whom this side trusts; without it Node's public CAs. */
  readonly ca?: NamedFile | undefined;
  /** Go's names; empty for Node's choice. */
  readonly cipherSuites: readonly string[];
  readonly minVersion: TlsVersionName;
}

export interface TlsFiles {
  /** For tls.createServer, tls.connect and tls.createSecureContext. */
  readonly context: SecureContextOptions;
  /** One line each: certificates that are out of their time. They are used all the same. */
  readonly warnings: readonly string[];
  /** When the certificates of each file end. */
  readonly expiries: readonly FileExpiry[];
}

/**
 * Reads and checks the files.
 *
 * A certificate that has expired is a warning: the clock may be what is wrong, and the peer decides.
 *
 * @throws UsageError: one line with flag, file and cure
 */
export function loadTlsFiles(spec: TlsFilesSpec, now: Date = new Date()): TlsFiles {
  const warnings: string[] = [];
  const expiries: FileExpiry[] = [];
  const ciphers = opensslCiphers(spec.cipherSuites);
  const context: SecureContextOptions = { minVersion: secureVersion(spec.minVersion) };
  if (ciphers !== undefined) {
    context.ciphers = ciphers;
    context.honorCipherOrder = true;
  }
  if (spec.identity) {
    const { cert: certFile, key: keyFile } = spec.identity;
    const { pem, certificates } = readCertificateFile(certFile);
    const key = readKeyFile(keyFile);
    const [leaf] = certificates;
    if (!leaf.checkPrivateKey(key.key)) {
      throw new UsageError(
        `${keyFile.flag}: ${keyFile.path}: does not match the certificate in ${certFile.flag} ${certFile.path}; give the key that the certificate was made for`,
      );
    }
    context.cert = pem;
    context.key = key.pem;
    warnings.push(...datesWarnings(certFile, certificates, now));
    expiries.push(firstExpiry(certFile, certificates));
  }
  if (spec.ca) {
    const { pem, certificates } = readCertificateFile(spec.ca);
    context.ca = pem;
    warnings.push(...datesWarnings(spec.ca, certificates, now));
    expiries.push(firstExpiry(spec.ca, certificates));
  }
  return { context, warnings, expiries };
}

function firstExpiry(file: NamedFile, certificates: readonly X509Certificate[]): FileExpiry {
  const ends = certificates.map(({ validTo }) => new Date(validTo).getTime());
  return { ...file, notAfter: new Date(Math.min(...ends)) };
}

function datesWarnings(
  { flag, path }: NamedFile,
  certificates: readonly X509Certificate[],
  now: Date,
): string[] {
  return certificates.flatMap((certificate) => {
    const subject = certificate.subject.replaceAll('\n', ', ');
    const from = new Date(certificate.validFrom);
    const to = new Date(certificate.validTo);
    if (to < now) {
      return [`${flag}: ${path}: ${subject} expired at ${to.toISOString()}; issue a new one`];
    }
    if (from > now) {
      return [
        `${flag}: ${path}: ${subject} is not valid before ${from.toISOString()}; check the clock`,
      ];
    }
    return [];
  });
}
