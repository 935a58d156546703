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
  /** Lifetime; default 3650. */
  readonly days?: number;
  /** The moment from which the lifetime counts; default is the clock. */
  readonly now?: Date;
}

/** A certificate that may sign others, with its key. */
export class Authority {
  readonly certificate: X509Certificate;
  readonly privateKey: KeyObject;
  readonly scheme: SignatureScheme;
  /** The subject's DER as parsed, since an issuer's name must repeat it byte for byte. */
  readonly subject: Asn1;
  readonly keyIdentifier: Buffer;
  /**
   * What peers need to be shown beside a leaf: the certificate and those above it, in PEM, up to but
   * without the self-signed one, which they have. Empty for a self-signed authority.
   */
  readonly chainPem: string;
  readonly #pathLength: number | undefined;

  /**
   * Takes a certificate and the key that belongs to it; among `others` those above it are looked for.
   *
   * Throws PkiError `authority_unusable` for anything with which a peer would reject every leaf:
   * another's key, no CA certificate, a weak or exotic key. Expiry is checked when it signs.
   */
  constructor(
    certificate: X509Certificate,
    privateKey: KeyObject,
    others: readonly X509Certificate[] = [],
  ) {
    const scheme = signatureScheme(privateKey);
    if (!certificate.checkPrivateKey(privateKey)) {
      throw new PkiError('authority_unusable', 'the key does not belong to the certificate');
    }
    // Node (X509_check_ca) looks at basicConstraints and at keyUsage's keyCertSign.
    if (!certificate.ca) {
      throw new PkiError('authority_unusable', 'the certificate is not one of a CA');
    }
    if (scheme === undefined) {
      throw new PkiError(
        'authority_unusable',
        'the key is neither EC (P-256, P-384, P-521) nor RSA of 2048 bits or more',
      );
    }
    this.certificate = certificate;
    this.privateKey = privateKey;
    this.scheme = scheme;
    const read = readCertificate(certificate);
    if (read === undefined) {
      throw new PkiError('authority_unusable', 'the certificate is not a well-formed X.509 v3 one');
    }
    this.subject = read.subject;
    this.keyIdentifier = read.keyIdentifier ?? keyIdentifier(certificate.publicKey);
    this.#pathLength = read.pathLength;
    this.chainPem = chainOf(certificate, others).join('');
  }

  /** The certificate in PEM. */
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

  /** False for an intermediate, which peers may need to be shown beside the leaf. */
  get isSelfSigned(): boolean {
    return isSelfSigned(this.certificate);
  }

  /** Whether another authority may stand between it and a leaf. */
  get maySignAuthorities(): boolean {
    return this.#pathLength === undefined || this.#pathLength > 0;
  }
}

const isSelfSigned = (certificate: X509Certificate): boolean =>
  certificate.checkIssued(certificate);

/** From a certificate up to the last that is not self-signed. */
function chainOf(
  certificate: X509Certificate,
  others: readonly X509Certificate[],
): X509Certificate[] {
  if (isSelfSigned(certificate)) return [];
  const above = others.find(
    (other) => certificate.checkIssued(other) && certificate.verify(other.publicKey),
  );
  // Without the one that was found: certificates that signed each other must not go round for ever.
  const rest = others.filter((other) => other !== above);
  return [certificate, ...(above === undefined ? [] : chainOf(above, rest))];
}

/** Makes a self-signed authority. Throws PkiError `bad_name` or `bad_days`. */
export async function createAuthority(options: AuthorityOptions): Promise<Authority> {
  const subject = distinguishedName(options.name);
  const validity = validityFrom(options.now ?? new Date(), options.days ?? 3650);
  // NIST SP 800-57 trusts 2048 bits until 2030 only, and an authority outlives that.
  const { publicKey, privateKey } = await generateKeys(options.keyType ?? 'ec', 3072);
  const scheme = signatureScheme(privateKey)!;
  const identifier = keyIdentifier(publicKey);
  const certificate = signCertificate(
    {
      issuer: subject,
      subject,
      validity,
      publicKey,
      extensions: [
        authorityConstraints(1),
        keyUsage('keyCertSign', 'cRLSign'),
        subjectKeyIdentifier(identifier),
        authorityKeyIdentifier(identifier),
      ],
    },
    { privateKey, scheme },
  );
  return new Authority(certificate, privateKey);
}

/**
 * Makes an authority below another that can vouch for clients alone: whoever steals its key cannot make
 * a certificate that agents would take for a server's, nor another authority.
 *
 * Throws PkiError `bad_name`, `bad_days`, or `authority_unusable` for an authority that may sign leaves only
 * or is out of its time.
 */
export async function createIssuingAuthority(
  parent: Authority,
  options: AuthorityOptions,
): Promise<Authority> {
  const now = options.now ?? new Date();
  const subject = distinguishedName(options.name);
  const wanted = validityFrom(now, options.days ?? 1825);
  refuseOutside(now, parent.validity);
  if (!parent.maySignAuthorities) {
    throw new PkiError(
      'authority_unusable',
      'the CA certificate allows no CA below it (pathlen:0); take a CA without that limit',
    );
  }
  const { publicKey, privateKey } = await generateKeys(options.keyType ?? 'ec', 3072);
  const certificate = signCertificate(
    {
      issuer: parent.subject,
      subject,
      validity: clampValidity(wanted, parent.validity),
      publicKey,
      extensions: [
        authorityConstraints(0),
        keyUsage('keyCertSign', 'cRLSign'),
        // On an authority it narrows down what its leaves are good for (OpenSSL, Go, NSS).
        clientAuthentication(),
        subjectKeyIdentifier(keyIdentifier(publicKey)),
        authorityKeyIdentifier(parent.keyIdentifier),
      ],
    },
    parent,
  );
  const above = parseCertificates(parent.certPem + parent.chainPem);
  return new Authority(certificate, privateKey, above);
}

/**
 * Reads DIR/ca.crt and DIR/ca.key: EC or RSA, the key as PKCS#8, SEC1 or PKCS#1, in PEM. Where
 * ca.crt is a bundle, the certificate that the key belongs to is taken.
 *
 * Throws PkiError `authority_unusable`, naming the file, when one is missing, unreadable as PEM or
 * unfit; Node's own error when the file system fails.
 */
export function loadAuthority(dir: string): Promise<Authority> {
  const { cert, key } = certificatePaths(dir, 'ca');
  return loadAuthorityFiles(cert, key);
}

/** The same from two files of any name. */
export async function loadAuthorityFiles(certFile: string, keyFile: string): Promise<Authority> {
  const [certText, keyText] = await Promise.all([readPem(certFile), readPem(keyFile)]);
  const certificates = parseCertificateFile(certText, certFile);
  const privateKey = parsePrivateKey(keyText, keyFile);
  const certificate = certificates.find((candidate) => candidate.checkPrivateKey(privateKey));
  if (certificate === undefined) {
    throw new PkiError('authority_unusable', `${keyFile} does not belong to ${certFile}`);
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
    throw new PkiError('authority_unusable', `${file} does not exist`);
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
    throw new PkiError('authority_unusable', `${file} holds no certificate in PEM`);
  }
}

function parsePrivateKey(text: string, file: string): KeyObject {
  // Told by the PEM, since the error of reading one differs between Node's versions.
  if (/^(-----BEGIN ENCRYPTED |Proc-Type: 4,ENCRYPTED)/m.test(text)) {
    throw new PkiError('authority_unusable', `${file} is encrypted; decrypt it first`);
  }
  try {
    return createPrivateKey(text);
  } catch {
    throw new PkiError('authority_unusable', `${file} holds no private key in PEM`);
  }
}
