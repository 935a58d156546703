import type { KeyObject, X509Certificate } from 'node:crypto';
import type { Authority } from './authority.ts';
import { generateKeys, type KeyType, keyIdentifier, privateKeyPem } from './key-pair.ts';
import { PkiError } from './pki-error.ts';
import {
  clampValidity,
  refuseOutside,
  type Validity,
  validityFor,
  validityFrom,
} from './validity.ts';
import { signCertificate } from './x509/certificate.ts';
import type { Asn1 } from './x509/der.ts';
import { distinguishedName } from './x509/distinguished-name.ts';
import {
  authorityKeyIdentifier,
  clientAuthentication,
  keyUsage,
  leafConstraints,
  serverAuthentication,
  subjectAlternativeName,
  subjectKeyIdentifier,
} from './x509/extensions.ts';
import { readCertificate } from './x509/read-certificate.ts';
import { type AlternativeNames, generalNames } from './x509/subject-alternative-names.ts';

/** A server authenticates itself to those who dial it; agents and clients to the server that they dial. */
export type CertificateKind = 'server' | 'agent' | 'client';

/** The subject and the lifetime of a certificate. */
export interface CertifyOptions extends AlternativeNames {
  readonly kind: CertificateKind;
  /** The common name, at most 64 characters. */
  readonly name: string;
  /** Organizations (O), which front-end policies and Kubernetes read as groups. */
  readonly organizations?: readonly string[];
  /** Lifetime; default 365. The certificate never outlives its authority. */
  readonly days?: number;
  /** Lifetime instead of `days`, for certificates that are renewed automatically. */
  readonly lifetimeMs?: number;
  /** The start of the lifetime; default: now. */
  readonly now?: Date;
}

export interface IssueOptions extends CertifyOptions {
  /** Default `ec`. */
  readonly keyType?: KeyType;
}

export interface SignedCertificate {
  /** The leaf in PEM, followed by its authority's chain (Authority.chainPem). */
  readonly certPem: string;
  readonly certificate: X509Certificate;
  readonly notAfter: Date;
  /** Whether the requested lifetime exceeded the authority's, so that notAfter is the authority's. */
  readonly clampedToAuthority: boolean;
}

export interface IssuedCertificate extends SignedCertificate {
  /** The private key, PKCS#8 in PEM. */
  readonly keyPem: string;
}

/**
 * Makes a key and a certificate for it.
 *
 * Throws PkiError: `bad_name`, `bad_organization`, `bad_host` (also for a server without hosts and
 * IPs), `bad_ip`, `bad_uri`, `bad_days`, `authority_unusable` (not valid at `now`).
 */
export async function issueCertificate(
  authority: Authority,
  options: IssueOptions,
): Promise<IssuedCertificate> {
  const leaf = leafOf(authority, options);
  const { publicKey, privateKey } = await generateKeys(options.keyType ?? 'ec', 2048);
  return { ...signLeaf(authority, leaf, publicKey), keyPem: privateKeyPem(privateKey) };
}

/**
 * Makes a certificate for a public key. The caller must have verified that the requester has the private
 * key (publicKeyOfRequest). Throws as issueCertificate does.
 */
export function certifyKey(
  authority: Authority,
  publicKey: KeyObject,
  options: CertifyOptions,
): SignedCertificate {
  return signLeaf(authority, leafOf(authority, options), publicKey);
}

/**
 * Makes an agent's certificate with the subject and the alternative names of an earlier one, for a new
 * key and a new lifetime.
 *
 * Throws PkiError `bad_request` if the earlier certificate is malformed, `authority_unusable`.
 */
export function recertifyKey(
  authority: Authority,
  publicKey: KeyObject,
  earlier: X509Certificate,
  lifetimeMs: number,
): SignedCertificate {
  const now = new Date();
  const read = readCertificate(earlier);
  if (read === undefined) throw new PkiError('bad_request', 'the certificate is malformed');
  refuseOutside(now, authority.validity);
  const { subject, alternativeNames } = read;
  const wanted = validityFor(now, lifetimeMs);
  return signLeaf(authority, { kind: 'agent', subject, alternativeNames, wanted }, publicKey);
}

/** Validates names without making a certificate. Throws as issueCertificate does. */
export function checkNames(
  options: AlternativeNames & Pick<CertifyOptions, 'name' | 'organizations'>,
): void {
  distinguishedName(options.name, options.organizations);
  generalNames(options);
}

function leafOf(authority: Authority, options: CertifyOptions) {
  const { kind, lifetimeMs, days = 365, now = new Date() } = options;
  const subject = distinguishedName(options.name, options.organizations);
  const names = generalNames(options);
  if (kind === 'server' && !options.hosts?.length && !options.ips?.length) {
    throw new PkiError('bad_host', 'a server certificate needs at least one host or IP');
  }
  const wanted = lifetimeMs === undefined ? validityFrom(now, days) : validityFor(now, lifetimeMs);
  refuseOutside(now, authority.validity);
  return { kind, subject, alternativeNames: names && subjectAlternativeName(names), wanted };
}

function signLeaf(
  authority: Authority,
  leaf: {
    readonly kind: CertificateKind;
    readonly subject: Asn1;
    /** The whole extension. */
    readonly alternativeNames: Asn1 | undefined;
    readonly wanted: Validity;
  },
  publicKey: KeyObject,
): SignedCertificate {
  const validity = clampValidity(leaf.wanted, authority.validity);
  const certificate = signCertificate(
    {
      issuer: authority.subject,
      subject: leaf.subject,
      validity,
      publicKey,
      extensions: [
        leafConstraints(),
        ...usages(leaf.kind, publicKey),
        subjectKeyIdentifier(keyIdentifier(publicKey)),
        authorityKeyIdentifier(authority.keyIdentifier),
        ...(leaf.alternativeNames === undefined ? [] : [leaf.alternativeNames]),
      ],
    },
    authority,
  );
  return {
    certPem: certificate.toString() + authority.chainPem,
    certificate,
    notAfter: validity.notAfter,
    clampedToAuthority: validity.notAfter < leaf.wanted.notAfter,
  };
}

/** Only the RSA key of a TLS 1.2 server decrypts (RSA key exchange); all other keys only sign. */
function usages(kind: CertificateKind, publicKey: KeyObject): Asn1[] {
  if (kind !== 'server') return [keyUsage('digitalSignature'), clientAuthentication()];
  return publicKey.asymmetricKeyType === 'rsa'
    ? [keyUsage('digitalSignature', 'keyEncipherment'), serverAuthentication()]
    : [keyUsage('digitalSignature'), serverAuthentication()];
}
