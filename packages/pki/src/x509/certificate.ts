import { type KeyObject, randomBytes, sign, X509Certificate } from 'node:crypto';
import { publicKeyInfo, type SignatureScheme } from '../key-pair.ts';
import type { Validity } from '../validity.ts';
import {
  type Asn1,
  bitString,
  contextExplicit,
  decode,
  encode,
  integer,
  sequence,
  time,
} from './der.ts';

/** Builds and signs an X.509 v3 certificate (RFC 5280, 4.1.2) with a new serial number. */
export function signCertificate(
  fields: {
    readonly issuer: Asn1;
    readonly subject: Asn1;
    readonly validity: Validity;
    readonly publicKey: KeyObject;
    readonly extensions: readonly Asn1[];
  },
  signer: { readonly privateKey: KeyObject; readonly scheme: SignatureScheme },
): X509Certificate {
  const { digest, identifier } = signer.scheme;
  const toBeSigned = sequence(
    contextExplicit(0, integer(Buffer.from([2]))), // v3
    integer(serialNumber()),
    identifier,
    fields.issuer,
    sequence(time(fields.validity.notBefore), time(fields.validity.notAfter)),
    fields.subject,
    decode(publicKeyInfo(fields.publicKey)),
    contextExplicit(3, sequence(...fields.extensions)),
  );
  const signature = sign(digest, encode(toBeSigned), signer.privateKey);
  return new X509Certificate(encode(sequence(toBeSigned, identifier, bitString(signature))));
}

/**
 * 128 bits. The first two are 01, so that the number is positive and its DER always has 16 bytes.
 * RFC 5280, 4.1.2.2 allows 20.
 */
function serialNumber(): Buffer {
  const serial = randomBytes(16);
  serial.writeUInt8((serial.readUInt8(0) & 0x3f) | 0x40, 0);
  return serial;
}
