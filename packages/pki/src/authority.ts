import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { signCertificate } from './certificate.ts';
import { type Asn1, childrenOf, contentOf, decode, encode, oid } from './der.ts';
import { distinguishedName } from './distinguished-name.ts';
import {
  authorityConstraints,
  authorityKeyIdentifier,
  keyUsage,
  SUBJECT_KEY_IDENTIFIER,
  subjectKeyIdentifier,
} from './extensions.ts';
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
import { type Validity, validityFrom } from './validity.ts';

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
   * Takes a certificate and the key that belongs to it.
   *
   * Throws PkiError `authority_unusable` for anything with which a peer would reject every leaf:
   * another's key, no CA certificate, a weak or exotic key. Expiry is checked when it signs.
   */
  constructor(certificate: X509Certificate, privateKey: KeyObject) {
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
    const { subject, keyIdentifier: stated } = readIdentity(certificate);
    this.subject = subject;
    this.keyIdentifier = stated ?? keyIdentifier(certificate.publicKey);
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
    return this.certificate.checkIssued(this.certificate);
  }
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
        authorityConstraints(),
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
 * Reads DIR/ca.crt and DIR/ca.key: EC or RSA, the key as PKCS#8, SEC1 or PKCS#1, in PEM. Where
 * ca.crt is a bundle, the certificate that the key belongs to is taken.
 *
 * Throws PkiError `authority_unusable`, naming the file, when one is missing, unreadable as PEM or
 * unfit; Node's own error when the file system fails.
 */
export async function loadAuthority(dir: string): Promise<Authority> {
  const { cert: certFile, key: keyFile } = certificatePaths(dir, 'ca');
  const [certText, keyText] = await Promise.all([readPem(certFile), readPem(keyFile)]);
  const certificates = parseCertificates(certText, certFile);
  const privateKey = parsePrivateKey(keyText, keyFile);
  const certificate = certificates.find((candidate) => candidate.checkPrivateKey(privateKey));
  if (certificate === undefined) {
    throw new PkiError('authority_unusable', `${keyFile} does not belong to ${certFile}`);
  }
  try {
    return new Authority(certificate, privateKey);
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

function parseCertificates(text: string, file: string): X509Certificate[] {
  const blocks = text.match(CERTIFICATE_BLOCK) ?? [];
  try {
    if (blocks.length === 0) throw new Error('no PEM block');
    return blocks.map((block) => new X509Certificate(block));
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

/** The context tag of a certificate's extensions (RFC 5280, 4.1). */
const EXTENSIONS_TAG = 3;

/** The subject, and the SubjectKeyIdentifier if the certificate states one. */
function readIdentity(certificate: X509Certificate): {
  subject: Asn1;
  keyIdentifier: Buffer | undefined;
} {
  try {
    const root = decode(certificate.raw);
    // Names are copied as parsed: that is only right if parsing loses nothing of this one.
    if (!encode(root).equals(certificate.raw)) throw new Error('not DER');
    // A v3 certificate: version, serial, algorithm, issuer, validity, subject, key, optional parts.
    const fields = childrenOf(childrenOf(root)[0]);
    const subject = fields[5];
    if (subject === undefined) throw new Error('no subject');
    const extensionList = fields.slice(7).find((field) => Number(field.type) === EXTENSIONS_TAG);
    return { subject, keyIdentifier: findKeyIdentifier(extensionList) };
  } catch {
    throw new PkiError('authority_unusable', 'the certificate is not a well-formed X.509 v3 one');
  }
}

function findKeyIdentifier(extensionList: Asn1 | undefined): Buffer | undefined {
  const wanted = contentOf(oid(SUBJECT_KEY_IDENTIFIER));
  for (const extension of childrenOf(childrenOf(extensionList)[0])) {
    const parts = childrenOf(extension);
    if (contentOf(parts[0]).equals(wanted)) return contentOf(decode(contentOf(parts.at(-1))));
  }
  return undefined;
}
