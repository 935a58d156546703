import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import {
  generateKeys,
  type KeyType,
  keyIdentifier,
  privateKeyPem,
  type SignatureScheme,
  signatureScheme,
} from './key-pair.ts';
import { certificatePaths } from './pem-files.ts';
import { PkiError } from './pki-error.ts';
import { clampValidity, refuseOutside, type Validity, validityFrom } from './validity.ts';
import { signCertificate } from './x509/certificate.ts';
import type { Asn1 } from './x509/der.ts';
import { distinguishedName } from './x509/distinguished-name.ts';
import {
  authorityConstraints,
  authorityKeyIdentifier,
  clientAuthentication,
  keyUsage,
  subjectKeyIdentifier,
} from './x509/extensions.ts';
import { readCertificate } from './x509/read-certificate.ts';

export interface AuthorityOptions {
  /** The common name, at most 64 characters. */
  readonly name: string;
  /** Default `ec`. */
  readonly keyType?: KeyType;
  /** Lifetime; default 3650, and 1825 for an authority below another. */
  readonly days?: number;
  /** The start of the lifetime; default: now. */
  readonly now?: Date;
}

export class Authority {
  readonly certificate: X509Certificate;
  readonly privateKey: KeyObject;
  readonly scheme: SignatureScheme;
  /** As parsed: the issuer name of its leaves must repeat it byte for byte. */
  readonly subject: Asn1;
  readonly keyIdentifier: Buffer;
  /**
   * The certificates that a peer needs in addition to a leaf and the root, in PEM: this one and those
   * above it, without the self-signed one. Empty for a self-signed authority.
   */
  readonly chainPem: string;
  readonly #pathLength: number | undefined;

  /**
   * @param others where to find the certificates above this one
   *
   * Throws PkiError `authority_unusable` if peers would reject every leaf: the key does not match, the
   * certificate is not a CA certificate, or the key is weak or exotic. Expiry is checked on signing.
   */
  constructor(
    certificate: X509Certificate,
    privateKey: KeyObject,
    others: readonly X509Certificate[] = [],
  ) {
    const scheme = signatureScheme(privateKey);
    if (!certificate.checkPrivateKey(privateKey)) {
      throw unusable('the key does not belong to the certificate');
    }
    // Node (X509_check_ca) checks basicConstraints and keyUsage's keyCertSign.
    if (!certificate.ca) {
      throw unusable('the certificate is not a CA certificate');
    }
    if (scheme === undefined) {
      throw unusable('the key must be EC (P-256, P-384, P-521) or RSA of at least 2048 bits');
    }
    this.certificate = certificate;
    this.privateKey = privateKey;
    this.scheme = scheme;
    const read = readCertificate(certificate);
    if (read === undefined) {
      throw unusable('the certificate is not well-formed X.509 v3');
    }
    this.subject = read.subject;
    this.keyIdentifier = read.keyIdentifier ?? keyIdentifier(certificate.publicKey);
    this.#pathLength = read.pathLength;
    this.chainPem = chainOf(certificate, others).join('');
  }

  get certPem(): string {
    return this.certificate.toString();
  }

  /** The private key, PKCS#8 in PEM. */
  get keyPem(): string {
    return privateKeyPem(this.privateKey);
  }

  get validity(): Validity {
    return {
      notBefore: new Date(this.certificate.validFrom),
      notAfter: new Date(this.certificate.validTo),
    };
  }

  /** False for an intermediate, which peers may need in addition to the leaf. */
  get isSelfSigned(): boolean {
    return isSelfSigned(this.certificate);
  }

  /** Whether another authority may be between it and a leaf. */
  get maySignAuthorities(): boolean {
    return this.#pathLength === undefined || this.#pathLength > 0;
  }
}

const unusable = (text: string): PkiError => new PkiError('authority_unusable', text);

const isSelfSigned = (certificate: X509Certificate): boolean =>
  certificate.checkIssued(certificate);

/** From a certificate up to the last one that is not self-signed. */
function chainOf(
  certificate: X509Certificate,
  others: readonly X509Certificate[],
): X509Certificate[] {
  if (isSelfSigned(certificate)) return [];
  const above = others.find(
    (other) => certificate.checkIssued(other) && certificate.verify(other.publicKey),
  );
  // Without the one that was found, since certificates can sign each other in a circle.
  const rest = others.filter((other) => other !== above);
  return [certificate, ...(above === undefined ? [] : chainOf(above, rest))];
}

/** Makes a self-signed authority. Throws PkiError `bad_name` or `bad_days`. */
export const createAuthority = (options: AuthorityOptions): Promise<Authority> =>
  makeAuthority(options, 3650);

/**
 * Makes an authority below another. Its leaves can only authenticate clients: with its stolen key one
 * can make neither a certificate that agents accept from a server, nor another authority.
 *
 * Throws PkiError `bad_name`, `bad_days`, or `authority_unusable` if `parent` may sign leaves only or is
 * not valid now.
 */
export const createIssuingAuthority = (
  parent: Authority,
  options: AuthorityOptions,
): Promise<Authority> => makeAuthority(options, 1825, parent);

async function makeAuthority(
  { name, keyType = 'ec', days, now = new Date() }: AuthorityOptions,
  defaultDays: number,
  parent?: Authority,
): Promise<Authority> {
  const subject = distinguishedName(name);
  const wanted = validityFrom(now, days ?? defaultDays);
  if (parent) {
    refuseOutside(now, parent.validity);
    if (!parent.maySignAuthorities) {
      throw unusable(
        'the CA certificate does not allow a CA below it (pathlen:0); use a CA without that limit',
      );
    }
  }
  // NIST SP 800-57 trusts 2048 bits only until 2030, and an authority outlives that.
  const { publicKey, privateKey } = await generateKeys(keyType, 3072);
  const identifier = keyIdentifier(publicKey);
  const certificate = signCertificate(
    {
      issuer: parent?.subject ?? subject,
      subject,
      validity: parent ? clampValidity(wanted, parent.validity) : wanted,
      publicKey,
      extensions: [
        authorityConstraints(parent ? 0 : 1),
        keyUsage('keyCertSign', 'cRLSign'),
        // OpenSSL, Go and NSS apply an authority's extended key usage to its leaves.
        ...(parent ? [clientAuthentication()] : []),
        subjectKeyIdentifier(identifier),
        authorityKeyIdentifier(parent?.keyIdentifier ?? identifier),
      ],
    },
    parent ?? { privateKey, scheme: signatureScheme(privateKey)! },
  );
  const above = parent ? parseCertificates(parent.certPem + parent.chainPem) : [];
  return new Authority(certificate, privateKey, above);
}

/**
 * Reads DIR/ca.crt and DIR/ca.key: EC or RSA, the key as PKCS#8, SEC1 or PKCS#1, in PEM. If ca.crt is
 * a bundle, uses the certificate that matches the key.
 *
 * Throws PkiError `authority_unusable`, naming the file, if a file is missing, not PEM or unusable;
 * Node's own error if the file system fails.
 */
export async function loadAuthority(dir: string): Promise<Authority> {
  const { cert: certFile, key: keyFile } = certificatePaths(dir, 'ca');
  const [certText, keyText] = await Promise.all([readPem(certFile), readPem(keyFile)]);
  const certificates = parseCertificateFile(certText, certFile);
  const privateKey = parsePrivateKey(keyText, keyFile);
  const certificate = certificates.find((candidate) => candidate.checkPrivateKey(privateKey));
  if (certificate === undefined) {
    throw unusable(`${keyFile} does not belong to ${certFile}`);
  }
  try {
    return new Authority(certificate, privateKey, certificates);
  } catch (error) {
    if (!(error instanceof PkiError)) throw error;
    throw new PkiError(error.code, `${certFile}: ${error.message}`);
  }
}

async function readPem(file: string): Promise<string> {
  try {
    return await readFile(file, 'latin1');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error;
    throw unusable(`${file} does not exist`);
  }
}

const CERTIFICATE_BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

const parseCertificates = (text: string): X509Certificate[] =>
  (text.match(CERTIFICATE_BLOCK) ?? []).map((block) => new X509Certificate(block));

function parseCertificateFile(text: string, file: string): X509Certificate[] {
  try {
    const certificates = parseCertificates(text);
    if (certificates.length === 0) throw new Error('no PEM block');
    return certificates;
  } catch {
    throw unusable(`${file} contains no PEM certificate`);
  }
}

function parsePrivateKey(text: string, file: string): KeyObject {
  // Detected in the PEM, since Node's error for an encrypted key differs between versions.
  if (/^(-----BEGIN ENCRYPTED |Proc-Type: 4,ENCRYPTED)/m.test(text)) {
    throw unusable(`${file} is encrypted; decrypt it first`);
  }
  try {
    return createPrivateKey(text);
  } catch {
    throw unusable(`${file} contains no PEM private key`);
  }
}
