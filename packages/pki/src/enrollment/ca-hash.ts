import { createHash, type X509Certificate } from 'node:crypto';

/**
 * The hash by which an agent knows its CA, written `sha256:` and 64 hexadecimal digits as kubeadm does:
 * SHA-256 over the SubjectPublicKeyInfo (RFC 7469 section 2.4), so that it stays the same when the CA's
 * certificate is renewed with its key.
 */
export function caHash({ publicKey }: X509Certificate): string {
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return `sha256:${createHash('sha256').update(spki).digest('hex')}`;
}
