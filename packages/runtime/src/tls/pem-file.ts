/** Reads certificates and keys from PEM files that flags name. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readNamedFile } from '../options/read/read-named-file.ts';
import { UsageError } from '../process/startup-error.ts';

/** A file and the flag that names it: `--server-cert`. */
export interface NamedFile {
  readonly flag: string;
  readonly path: string;
}

export const namedFile = (flag: string, path: string | undefined): NamedFile | undefined =>
  path === undefined ? undefined : { flag, path };

const certificateBlock = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;
const anyBlock = /-----BEGIN ([A-Z0-9 ]+)-----/;

/**
 * @returns the file's text, and at least one certificate in the file's order
 * @throws UsageError if the file contains no certificate, or a damaged one
 */
export function readCertificateFile({ flag, path }: NamedFile): {
  readonly pem: string;
  readonly certificates: readonly [X509Certificate, ...X509Certificate[]];
} {
  const pem = readNamedFile(flag, path);
  const blocks = pem.match(certificateBlock) ?? [];
  const begun = pem.split('-----BEGIN CERTIFICATE-----').length - 1;
  if (begun > blocks.length) {
    const which = begun === 1 ? 'the certificate' : `a certificate of ${begun}`;
    throw new UsageError(
      `${flag}: ${path}: ${which} is cut off: the line -----END CERTIFICATE----- is missing. Copy the file again`,
    );
  }
  const [first, ...others] = blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      throw new UsageError(
        `${flag}: ${path}: certificate ${index + 1} of ${blocks.length} is damaged. Copy the file again`,
        { cause: error },
      );
    }
  });
  if (!first) throw new UsageError(`${flag}: ${path}: ${explainMissing('certificate', pem)}`);
  return { pem, certificates: [first, ...others] };
}

/** @throws UsageError if the file contains no private key, or one with a passphrase */
export function readKeyFile({ flag, path }: NamedFile): {
  readonly pem: string;
  readonly key: KeyObject;
} {
  const pem = readNamedFile(flag, path);
  if (!pem.includes('PRIVATE KEY-----')) {
    throw new UsageError(`${flag}: ${path}: ${explainMissing('private key', pem)}`);
  }
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(pem)) {
    throw new UsageError(
      `${flag}: ${path}: the key has a passphrase. Remove it: openssl pkey -in FILE -out NEW`,
    );
  }
  try {
    return { pem, key: createPrivateKey(pem) };
  } catch (error) {
    throw new UsageError(`${flag}: ${path}: the private key is damaged. Copy the file again`, {
      cause: error,
    });
  }
}

function explainMissing(wanted: string, pem: string): string {
  if (pem.trim() === '') return `the file is empty. It must contain a ${wanted} in PEM`;
  const found = anyBlock.exec(pem)?.[1];
  if (found) {
    return `contains a ${found.toLowerCase()} and no ${wanted}. Check that two files are not swapped`;
  }
  return `is not PEM. A ${wanted} in PEM starts with -----BEGIN ${wanted.toUpperCase()}-----`;
}
