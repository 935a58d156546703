import type { X509Certificate } from 'node:crypto';
import { type Asn1, childrenOf, contentOf, decode, oid } from './der.ts';
import {
  BASIC_CONSTRAINTS,
  SUBJECT_ALTERNATIVE_NAME,
  SUBJECT_KEY_IDENTIFIER,
} from './extensions.ts';

/** The context tag of a certificate's extensions (RFC 5280, 4.1). */
const EXTENSIONS_TAG = 3;

/**
 * Reads the parts of a v3 certificate that node:crypto does not provide.
 *
 * @returns undefined if it is not well-formed DER; `subject` and `alternativeNames` (the whole extension) as
 *   parsed, so that a copy is the same byte for byte; `pathLength`, the number of authorities that may be
 *   between it and a leaf, undefined for any number
 */
export function readCertificate(certificate: X509Certificate) {
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

/** The content of an extension's OCTET STRING. */
const extensionValue = (extension: Asn1): Asn1 => decode(contentOf(childrenOf(extension).at(-1)));

/** BasicConstraints are a BOOLEAN and the length, both optional. */
function pathLengthOf(constraints: Asn1): number | undefined {
  const length = childrenOf(constraints)[1];
  return length && Number.parseInt(contentOf(length).toString('hex'), 16);
}
