import {
  type Asn1,
  bitString,
  boolean,
  contextBytes,
  encode,
  integer,
  octetString,
  oid,
  sequence,
} from './der.ts';

/** OIDs of RFC 5280, 4.2.1, that readCertificate looks up too. */
export const SUBJECT_KEY_IDENTIFIER = '2.5.29.14';
export const SUBJECT_ALTERNATIVE_NAME = '2.5.29.17';
export const BASIC_CONSTRAINTS = '2.5.29.19';

// DER omits a criticality of FALSE, the default.
const extension = (type: string, critical: boolean, value: Asn1): Asn1 =>
  sequence(oid(type), ...(critical ? [boolean(true)] : []), octetString(encode(value)));

export const subjectKeyIdentifier = (keyIdentifier: Buffer): Asn1 =>
  extension(SUBJECT_KEY_IDENTIFIER, false, octetString(keyIdentifier));

export const authorityKeyIdentifier = (keyIdentifier: Buffer): Asn1 =>
  extension('2.5.29.35', false, sequence(contextBytes(0, keyIdentifier)));

/** @param pathLength how many authorities may be between it and a leaf; 0: it signs leaves only */
export const authorityConstraints = (pathLength: 0 | 1): Asn1 =>
  extension(BASIC_CONSTRAINTS, true, sequence(boolean(true), integer(Buffer.from([pathLength]))));

export const leafConstraints = (): Asn1 => extension(BASIC_CONSTRAINTS, true, sequence());

/** Bit positions of KeyUsage. */
const usageBits = { digitalSignature: 0, keyEncipherment: 2, keyCertSign: 5, cRLSign: 6 } as const;

/** Bit 0 is the highest bit of the byte; DER omits trailing zero bits of a list of named bits. */
export function keyUsage(...usages: (keyof typeof usageBits)[]): Asn1 {
  const positions: number[] = usages.map((usage) => usageBits[usage]);
  const byte = positions.reduce((bits, position) => bits | (0x80 >> position), 0);
  return extension('2.5.29.15', true, bitString(Buffer.from([byte]), 7 - Math.max(...positions)));
}

export const serverAuthentication = (): Asn1 => extendedKeyUsage('1.3.6.1.5.5.7.3.1');

export const clientAuthentication = (): Asn1 => extendedKeyUsage('1.3.6.1.5.5.7.3.2');

const extendedKeyUsage = (purpose: string): Asn1 =>
  extension('2.5.29.37', false, sequence(oid(purpose)));

/** `names` are GeneralNames. Not critical, since every certificate has a subject name. */
export const subjectAlternativeName = (names: Asn1): Asn1 =>
  extension(SUBJECT_ALTERNATIVE_NAME, false, names);
