import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Authority, IssuedCertificate } from '@fairlead/pki';

/** Writes the files of an authority for `loadAuthority`. */
export async function saveAuthority(dir: string, certPem: string, keyPem: string): Promise<void> {
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, 'ca.crt'), certPem);
  await writeFile(join(dir, 'ca.key'), keyPem);
}

/** Whether the authority signed the leaf and is its issuer. */
export const isSignedBy = (leaf: IssuedCertificate, authority: Authority): boolean =>
  leaf.certificate.verify(authority.certificate.publicKey) &&
  leaf.certificate.checkIssued(authority.certificate);

/** The certificates of a PEM text, in order. */
export const parseChain = (pem: string): X509Certificate[] =>
  pem
    .split(/(?<=-----END CERTIFICATE-----\n)/)
    .filter((block) => block !== '')
    .map((block) => new X509Certificate(block));

/** Creates an RSA key of 2048 bits as PKCS#8 in PEM. This is slow, so share the key in a test file. */
export const makeRsaKeyPem = (): string =>
  generateKeyPairSync('rsa', { modulusLength: 2048 })
    .privateKey.export({ type: 'pkcs8', format: 'pem' })
    .toString();
