import { createPublicKey, type KeyObject, sign } from 'node:crypto';

/**
 * A certificate request (PKCS#10, RFC 2986) in PEM for an EC P-256 key, signed with it. The subject is
 * empty: the issuer decides the names, and the request only proves that its sender has the key.
 *
 * Encoded by hand, since only the key and the signature vary. Node has no function for it, and the libraries
 * that have one are larger than the agent.
 */
export function makeCertificateRequest(privateKey: KeyObject): string {
  const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  const info = sequence(VERSION_1, EMPTY_NAME, publicKey, NO_ATTRIBUTES);
  const signature = Buffer.concat([NO_UNUSED_BITS, sign('sha256', info, privateKey)]);
  const request = sequence(info, ECDSA_WITH_SHA256, value(0x03, signature));
  const lines = request.toString('base64').replace(/.{64}(?=.)/g, '$&\n');
  return `-----BEGIN CERTIFICATE REQUEST-----\n${lines}\n-----END CERTIFICATE REQUEST-----\n`;
}

const VERSION_1 = Buffer.from('020100', 'hex');
const EMPTY_NAME = Buffer.from('3000', 'hex');
const NO_ATTRIBUTES = Buffer.from('a000', 'hex');
const NO_UNUSED_BITS = Buffer.from('00', 'hex');
/** RFC 5758 section 3.2: 1.2.840.10045.4.3.2, without parameters. */
const ECDSA_WITH_SHA256 = Buffer.from('300a06082a8648ce3d040302', 'hex');

const sequence = (...parts: Buffer[]): Buffer => value(0x30, Buffer.concat(parts));

/** Tag, length and content in DER (X.690 section 8.1); the content is shorter than 64 KiB. */
function value(tag: number, content: Buffer): Buffer {
  const { length } = content;
  let head = [tag, length];
  if (length > 0xff) head = [tag, 0x82, length >> 8, length & 0xff];
  else if (length > 0x7f) head = [tag, 0x81, length];
  return Buffer.concat([Buffer.from(head), content]);
}
