import { PkiError } from '../pki-error.ts';
import { type Asn1, oid, sequence, set, utf8String } from './der.ts';

const COMMON_NAME = '2.5.4.3';
const ORGANIZATION = '2.5.4.10';

/** RFC 5280, appendix A.1: ub-common-name and ub-organization-name, in characters. */
const MAX_ATTRIBUTE_CHARACTERS = 64;

const attribute = (type: string, text: string): Asn1 => set(sequence(oid(type), utf8String(text)));

// A control character could forge a log line that quotes the name.
const isText = (text: string): boolean => text.trim() !== '' && !/\p{Cc}|\p{Cs}/u.test(text);

const tooLong = (text: string): boolean => [...text].length > MAX_ATTRIBUTE_CHARACTERS;

/**
 * Builds a Name: the organizations (O), then the common name (CN), one RDN each.
 *
 * Throws PkiError `bad_name` or `bad_organization` if one is empty, contains a control character or is
 * longer than 64 characters.
 */
export function distinguishedName(commonName: string, organizations: readonly string[] = []): Asn1 {
  if (!isText(commonName)) {
    throw new PkiError('bad_name', `${JSON.stringify(commonName)} is not printable text`);
  }
  if (tooLong(commonName)) {
    throw new PkiError(
      'bad_name',
      `"${commonName}" is longer than ${MAX_ATTRIBUTE_CHARACTERS} characters; give a long DNS name as a host instead`,
    );
  }
  for (const organization of organizations) {
    if (!isText(organization) || tooLong(organization)) {
      throw new PkiError(
        'bad_organization',
        `${JSON.stringify(organization)} is not printable text of 1 to ${MAX_ATTRIBUTE_CHARACTERS} characters`,
      );
    }
  }
  return sequence(
    ...organizations.map((organization) => attribute(ORGANIZATION, organization)),
    attribute(COMMON_NAME, commonName),
  );
}
