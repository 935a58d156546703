import type { X509Certificate } from 'node:crypto';
import { type Asn1, childrenOf, contentOf, decode, oid } from './der.ts';
import {
  BASIC_CONSTRAINTS,
  SUBJECT_ALTERNATIVE_NAME,
  SUBJECT_KEY_IDENTIFIER,
} from './extensions.ts';

/** What node:crypto does not tell about a certificate. */
export interface ReadCertificate {
  /** The subject as parsed: what repeats it must do so byte for byte. */
  readonly subject: Asn1;
  readonly keyIdentifier: Buffer | undefined;
  /** How many authorities may stand between it and a leaf; undefined: any number. */
  readonly pathLength: number | undefined;
  /** The whole extension, as parsed. */
  readonly alternativeNames: Asn1 | undefined;
}

/** The context tag of a certificate's extensions (RFC 5280, 4.1). */
const EXTENSIONS_TAG = 3;

/** Reads a v3 certificate; undefined when it is not well-formed DER. */
export function readCertificate(certificate: X509Certificate): ReadCertificate | undefined {
  try {
    // Version, serial, algorithm, issuer, validity, subject, key, optional parts.
    const fields = childrenOf(childrenOf(decode(certificate.raw))[0]);
    const subject = fields[5];
    if (subject === undefined) return undefined;
    const extensionList = fields.slice(7).find((field) => Number(field.type) === EXTENSIONS_TAG);
    const find = (type: string) => findExtension(extensionList, type);
    const keyIdentifier = find(SUBJECT_KEY_IDENTIFIER);
    const constraints = find(BASIC_CONSTRAINTS);
    return {
      subject,
      keyIdentifier: keyIdentifier && contentOf(extensionValue(keyIdentifier)),
      pathLength: constraints && pathLengthOf(extensionValue(constraints)),
      alternativeNames: find(SUBJECT_ALTERNATIVE_NAME),
    };
  } catch {
    return undefined;
  }
}

function findExtension(extensionList: Asn1 | undefined, type: string): Asn1 | undefined {
  if (extensionList === undefined) return undefined;
  const wanted = contentOf(oid(type));
  return childrenOf(childrenOf(extensionList)[0]).find((extension) =>
    contentOf(childrenOf(extension)[0]).equals(wanted),
  );
}

/** What an extension's OCTET STRING holds. */
const extensionValue = (extension: Asn1): Asn1 => decode(contentOf(childrenOf(extension).at(-1)));

/** BasicConstraints: a BOOLEAN, then the length, each of which may be left out. */
function pathLengthOf(constraints: Asn1): number | undefined {
  const length = childrenOf(constraints)[1];
  return length && Number.parseInt(contentOf(length).toString('hex'), 16);
}
