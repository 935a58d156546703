import { createHash, type X509Certificate } from 'node:crypto';

/**
 * The hash by which an agent recognizes its CA: `sha256:` and 64 hexadecimal digits, as in kubeadm. It is the
 * SHA-256 of the SubjectPublicKeyInfo (RFC 7469 section 2.4), so it stays the same if the CA's certificate is
 * renewed with the same key.
 */
export function caHash({ publicKey }: X509Certificate): string {
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return `sha256:${createHash('sha256').update(spki).digest('hex')}`;
}
