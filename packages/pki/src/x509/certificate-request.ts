import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { isFitPublicKey } from '../key-pair.ts';
import { PkiError } from '../pki-error.ts';
import {
  type Asn1,
  bitsOf,
  childrenOf,
  decode,
  encode,
  isSequence,
  nothing,
  oid,
  sequence,
} from './der.ts';

/** Digests by the AlgorithmIdentifier of a signature, in hexadecimal: RFC 4055 for RSA, RFC 5758 for ECDSA. */
const digests: ReadonlyMap<string, string> = new Map([
  [hexOf(sequence(oid('1.2.840.113549.1.1.11'), nothing())), 'sha256'],
  [hexOf(sequence(oid('1.2.840.113549.1.1.12'), nothing())), 'sha384'],
  [hexOf(sequence(oid('1.2.840.113549.1.1.13'), nothing())), 'sha512'],
  [hexOf(sequence(oid('1.2.840.10045.4.3.2'))), 'sha256'],
  [hexOf(sequence(oid('1.2.840.10045.4.3.3'))), 'sha384'],
  [hexOf(sequence(oid('1.2.840.10045.4.3.4'))), 'sha512'],
]);

function hexOf(value: Asn1): string {
  return encode(value).toString('hex');
}

const BLOCK =
  /-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----([A-Za-z0-9+/=\s]+)-----END (?:NEW )?CERTIFICATE REQUEST-----/;

/**
 * Reads the public key of a certificate request (PKCS#10, RFC 2986) in PEM and verifies that the request is
 * signed with its private key. Ignores the requested names and extensions: the issuer decides them.
 *
 * Throws PkiError `bad_request`.
 */
export function publicKeyOfRequest(pem: string): KeyObject {
  const [, base64] = BLOCK.exec(pem) ?? [];
  if (base64 === undefined) throw new PkiError('bad_request', 'no CSR in PEM (PKCS#10) was found');
  const { signed, algorithm, signature, publicKey } = parseRequest(Buffer.from(base64, 'base64'));
  const digest = digests.get(algorithm);
  if (digest === undefined) {
    throw new PkiError('bad_request', 'the CSR must be signed with ECDSA or RSA, and SHA-2');
  }
  if (!isFitPublicKey(publicKey)) {
    throw new PkiError(
      'bad_request',
      'the key of the CSR must be EC (P-256, P-384, P-521) or RSA of 2048 to 8192 bits',
    );
  }
  if (!isSignedBy(publicKey, digest, signed, signature)) {
    throw new PkiError('bad_request', 'the CSR is not signed with its own key');
  }
  return publicKey;
}

function parseRequest(der: Buffer) {
  try {
    const root = decode(der);
    const [info, algorithm, signature] = childrenOf(root);
    // Version, subject, key, attributes.
    const key = childrenOf(info)[2];
    if (!isSequence(root) || !info || !algorithm || !key) throw new Error('incomplete');
    return {
      signed: encode(info),
      algorithm: hexOf(algorithm),
      signature: bitsOf(signature),
      publicKey: createPublicKey({ key: encode(key), format: 'der', type: 'spki' }),
    };
  } catch (error) {
    throw new PkiError('bad_request', 'the CSR is malformed, or its key type is not supported', {
      cause: error,
    });
  }
}

function isSignedBy(key: KeyObject, digest: string, signed: Buffer, signature: Buffer): boolean {
  try {
    return verify(digest, signed, key, signature);
  } catch {
    return false;
  }
}
