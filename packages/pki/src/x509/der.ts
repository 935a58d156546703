import forge from 'node-forge';

const { asn1 } = forge;
const { Class, Type } = asn1;

/** One ASN.1 value, as forge represents it. */
export type Asn1 = forge.asn1.Asn1;

// forge represents bytes as strings of characters 0 to 255.
const bytesToForge = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

const primitive = (type: forge.asn1.Type, content: string): Asn1 =>
  asn1.create(Class.UNIVERSAL, type, false, content);

export const sequence = (...children: Asn1[]): Asn1 =>
  asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, children);

export const set = (...children: Asn1[]): Asn1 =>
  asn1.create(Class.UNIVERSAL, Type.SET, true, children);

export const oid = (dotted: string): Asn1 => primitive(Type.OID, asn1.oidToDer(dotted).getBytes());

/** An INTEGER from big-endian two's complement bytes without a redundant first byte. */
export const integer = (bytes: Uint8Array): Asn1 => primitive(Type.INTEGER, bytesToForge(bytes));

export const boolean = (value: boolean): Asn1 => primitive(Type.BOOLEAN, value ? '\xff' : '\x00');

export const nothing = (): Asn1 => primitive(Type.NULL, '');

export const octetString = (bytes: Uint8Array): Asn1 =>
  primitive(Type.OCTETSTRING, bytesToForge(bytes));

/** A BIT STRING whose last byte has `unusedBits` (0 to 7) unused bits. */
export const bitString = (bytes: Uint8Array, unusedBits = 0): Asn1 =>
  primitive(Type.BITSTRING, String.fromCharCode(unusedBits) + bytesToForge(bytes));

export const utf8String = (text: string): Asn1 => primitive(Type.UTF8, forge.util.encodeUtf8(text));

/** RFC 5280, 4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050. Whole seconds, UTC. */
export const time = (at: Date): Asn1 =>
  at.getUTCFullYear() < 2050
    ? primitive(Type.UTCTIME, asn1.dateToUtcTime(at))
    : primitive(Type.GENERALIZEDTIME, asn1.dateToGeneralizedTime(at));

/** `[tag] IMPLICIT` over a primitive type: the bytes under the context's own tag. */
export const contextBytes = (tag: number, bytes: Uint8Array): Asn1 =>
  asn1.create(Class.CONTEXT_SPECIFIC, tag as forge.asn1.Type, false, bytesToForge(bytes));

/** `[tag] EXPLICIT`: the value wrapped in the context's tag. */
export const contextExplicit = (tag: number, child: Asn1): Asn1 =>
  asn1.create(Class.CONTEXT_SPECIFIC, tag as forge.asn1.Type, true, [child]);

export const encode = (value: Asn1): Buffer => Buffer.from(asn1.toDer(value).getBytes(), 'latin1');

/**
 * Parses DER. Throws an Error on malformed input, on trailing bytes, and on an encoding that `encode` would
 * not reproduce: a signed or copied value must be the value that was read.
 */
export function decode(der: Uint8Array): Asn1 {
  const value = asn1.fromDer(bytesToForge(der));
  if (!encode(value).equals(der)) throw new Error('not DER');
  return value;
}

export const isSequence = ({ tagClass, type }: Asn1): boolean =>
  tagClass === Class.UNIVERSAL && type === Type.SEQUENCE;

/** The children of a constructed value. Throws an Error for any other value. */
export function childrenOf(value: Asn1 | undefined): Asn1[] {
  if (value === undefined || !Array.isArray(value.value)) throw new Error('not constructed');
  return value.value;
}

/** The bytes of a BIT STRING without unused bits. Throws an Error for any other value. */
export function bitsOf(value: Asn1 | undefined): Buffer {
  // forge keeps the bytes there even if it has parsed DER in them.
  const { bitStringContents, type } = (value ?? {}) as Partial<Asn1> & {
    readonly bitStringContents?: string;
  };
  if (type !== Type.BITSTRING || bitStringContents?.charCodeAt(0) !== 0) {
    throw new Error('not a BIT STRING of whole bytes');
  }
  return Buffer.from(bitStringContents.slice(1), 'latin1');
}

/** The content of a primitive value. Throws an Error for any other value. */
export function contentOf(value: Asn1 | undefined): Buffer {
  if (value === undefined || typeof value.value !== 'string') throw new Error('not primitive');
  return Buffer.from(value.value, 'latin1');
}
