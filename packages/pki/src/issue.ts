import type { X509Certificate } from 'node:crypto';
import type { Authority } from './authority.ts';
import { signCertificate } from './certificate.ts';
import type { Asn1 } from './der.ts';
import { distinguishedName } from './distinguished-name.ts';
import {
  authorityKeyIdentifier,
  clientAuthentication,
  keyUsage,
  leafConstraints,
  serverAuthentication,
  subjectAlternativeName,
  subjectKeyIdentifier,
} from './extensions.ts';
import { generateKeys, type KeyType, keyIdentifier, privateKeyPem } from './key-pair.ts';
import { PkiError } from './pki-error.ts';
import { type AlternativeNames, generalNames } from './subject-alternative-names.ts';
import { clampValidity, validityFrom } from './validity.ts';

/** A server proves itself to those who dial it, an agent or a client to the server that it dials. */
export type CertificateKind = 'server' | 'agent' | 'client';

export interface IssueOptions extends AlternativeNames {
  readonly kind: CertificateKind;
  /** The common name, at most 64 characters. */
  readonly name: string;
  /** Organizations (O), which front-end policies and Kubernetes read as groups. */
  readonly organizations?: readonly string[];
  /** Lifetime; default 365. The certificate never outlives its authority. */
  readonly days?: number;
  /** Default `ec`. */
  readonly keyType?: KeyType;
  /** The moment from which the lifetime counts; default is the clock. */
  readonly now?: Date;
}

export interface IssuedCertificate {
  /** The leaf in PEM, followed by its authority's certificate where that is an intermediate. */
  readonly certPem: string;
  /** The private key, PKCS#8 in PEM. */
  readonly keyPem: string;
  readonly certificate: X509Certificate;
  readonly notAfter: Date;
  /** The authority ends before the days that were asked for: notAfter is the authority's. */
  readonly clampedToAuthority: boolean;
}

/**
 * Makes a key and a certificate for it.
 *
 * Throws PkiError: `bad_name`, `bad_organization`, `bad_host` (also for a server without any name
 * to be reached by), `bad_ip`, `bad_uri`, `bad_days`, `authority_unusable` (not valid at `now`).
 */
export async function issueCertificate(
  authority: Authority,
  options: IssueOptions,
): Promise<IssuedCertificate> {
  const now = options.now ?? new Date();
  const subject = distinguishedName(options.name, options.organizations);
  const names = generalNames(options);
  if (options.kind === 'server' && !options.hosts?.length && !options.ips?.length) {
    throw new PkiError('bad_host', 'a server needs at least one host or IP to be verified by');
  }
  const wanted = validityFrom(now, options.days ?? 365);
  const outer = authority.validity;
  refuseOutside(now, authority);
  const validity = clampValidity(wanted, outer);

  const keyType = options.keyType ?? 'ec';
  const { publicKey, privateKey } = await generateKeys(keyType, 2048);
  const certificate = signCertificate(
    {
      issuer: authority.subject,
      subject,
      validity,
      publicKey,
      extensions: [
        leafConstraints(),
        ...usages(options.kind, keyType),
        subjectKeyIdentifier(keyIdentifier(publicKey)),
        authorityKeyIdentifier(authority.keyIdentifier),
        ...(names === undefined ? [] : [subjectAlternativeName(names)]),
      ],
    },
    authority,
  );
  const leafPem = certificate.toString();
  return {
    certPem: authority.isSelfSigned ? leafPem : leafPem + authority.certPem,
    keyPem: privateKeyPem(privateKey),
    certificate,
    notAfter: validity.notAfter,
    clampedToAuthority: validity.notAfter < wanted.notAfter,
  };
}

/** Only a TLS 1.2 server's RSA key is ever used to decrypt a key; all others only sign. */
function usages(kind: CertificateKind, keyType: KeyType): Asn1[] {
  if (kind !== 'server') return [keyUsage('digitalSignature'), clientAuthentication()];
  return keyType === 'rsa'
    ? [keyUsage('digitalSignature', 'keyEncipherment'), serverAuthentication()]
    : [keyUsage('digitalSignature'), serverAuthentication()];
}

function refuseOutside(now: Date, authority: Authority): void {
  const { notBefore, notAfter } = authority.validity;
  if (now > notAfter) {
    throw new PkiError(
      'authority_unusable',
      `the CA certificate expired at ${notAfter.toISOString()}`,
    );
  }
  if (now < notBefore) {
    throw new PkiError(
      'authority_unusable',
      `the CA certificate is not valid before ${notBefore.toISOString()}`,
    );
  }
}
