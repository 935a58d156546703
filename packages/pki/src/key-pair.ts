import {
  createHash,
  generateKeyPair,
  type KeyObject,
  type KeyPairKeyObjectResult,
} from 'node:crypto';
import { promisify } from 'node:util';
import { type Asn1, nothing, oid, sequence } from './x509/der.ts';

/** EC is P-256; RSA has 2048 bits in a leaf and 3072 in an authority, which lives longer. */
export type KeyType = 'ec' | 'rsa';

const generate = promisify(generateKeyPair);

/** Makes a key pair off the event loop: RSA takes a few hundred milliseconds. */
export function generateKeys(keyType: KeyType, rsaBits: number): Promise<KeyPairKeyObjectResult> {
  return keyType === 'ec'
    ? generate('ec', { namedCurve: 'P-256' })
    : generate('rsa', { modulusLength: rsaBits });
}

/** PKCS#8 in PEM, unencrypted. */
export const privateKeyPem = (key: KeyObject): string =>
  key.export({ type: 'pkcs8', format: 'pem' }).toString();

export const publicKeyInfo = (publicKey: KeyObject): Buffer =>
  publicKey.export({ type: 'spki', format: 'der' });

/** RFC 7093, section 2, method 4: the SHA-256 of the SubjectPublicKeyInfo. */
export const keyIdentifier = (publicKey: KeyObject): Buffer =>
  createHash('sha256').update(publicKeyInfo(publicKey)).digest();

/** Node's name of the digest that a key signs with, and the X.509 AlgorithmIdentifier. */
export interface SignatureScheme {
  readonly digest: 'sha256' | 'sha384' | 'sha512';
  readonly identifier: Asn1;
}

/** The shortest RSA key that TLS libraries accept at their default security level. */
const MIN_RSA_BITS = 2048;

// RFC 5758, 3.2: the digest matches the curve's strength; an ECDSA identifier has no parameters.
const ecdsaSchemes: Readonly<Record<string, SignatureScheme>> = {
  prime256v1: { digest: 'sha256', identifier: sequence(oid('1.2.840.10045.4.3.2')) },
  secp384r1: { digest: 'sha384', identifier: sequence(oid('1.2.840.10045.4.3.3')) },
  secp521r1: { digest: 'sha512', identifier: sequence(oid('1.2.840.10045.4.3.4')) },
};

// RFC 4055, section 5: sha256WithRSAEncryption, whose parameters are NULL.
const rsaScheme: SignatureScheme = {
  digest: 'sha256',
  identifier: sequence(oid('1.2.840.113549.1.1.11'), nothing()),
};

/** The scheme for a private key; undefined if TLS peers would not accept such a key from a CA. */
export function signatureScheme(key: KeyObject): SignatureScheme | undefined {
  const { namedCurve, modulusLength } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'ec') return ecdsaSchemes[namedCurve ?? ''];
  const isLongRsa = key.asymmetricKeyType === 'rsa' && (modulusLength ?? 0) >= MIN_RSA_BITS;
  return isLongRsa ? rsaScheme : undefined;
}

/** A longer key makes each signature so slow that it can be used to attack a server. */
const MAX_RSA_BITS = 8192;

/** Whether TLS peers accept a leaf with such a key. */
export function isFitPublicKey(key: KeyObject): boolean {
  const { modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  return signatureScheme(key) !== undefined && modulusLength <= MAX_RSA_BITS;
}
