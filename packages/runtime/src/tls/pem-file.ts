/** Certificates and keys out of PEM files that flags name, with complaints an operator can act on. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readNamedFile } from '../options/read/read-named-file.ts';
import { UsageError } from '../process/usage-error.ts';

/** A file and the flag that names it: `--server-cert`. */
export interface NamedFile {
  readonly flag: string;
  readonly path: string;
}

/** A PEM file's text with what was found in it. */
export interface CertificateFile {
  readonly pem: string;
  /** At least one, in the file's order. */
  readonly certificates: readonly [X509Certificate, ...X509Certificate[]];
}

export interface KeyFile {
  readonly pem: string;
  readonly key: KeyObject;
}

const certificateBlock = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;
const anyBlock = /-----BEGIN ([A-Z0-9 ]+)-----/;

/** @throws UsageError unless the file holds at least one certificate and all can be read */
export function readCertificateFile({ flag, path }: NamedFile): CertificateFile {
  const pem = readNamedFile(flag, path);
  const blocks = pem.match(certificateBlock) ?? [];
  const begun = pem.split('-----BEGIN CERTIFICATE-----').length - 1;
  if (begun > blocks.length) {
    const which = begun === 1 ? 'the certificate' : `a certificate of ${begun}`;
    throw new UsageError(
      `${flag}: ${path}: ${which} is cut off, its line -----END CERTIFICATE----- is missing; copy the file again`,
    );
  }
  const [first, ...others] = blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      throw new UsageError(
        `${flag}: ${path}: certificate ${index + 1} of ${blocks.length} is damaged; copy the file again`,
        { cause: error },
      );
    }
  });
  if (!first) throw new UsageError(`${flag}: ${path}: ${whyNo('certificate', pem)}`);
  return { pem, certificates: [first, ...others] };
}

/** @throws UsageError unless the file holds a private key without a passphrase */
export function readKeyFile({ flag, path }: NamedFile): KeyFile {
  const pem = readNamedFile(flag, path);
  if (!pem.includes('PRIVATE KEY-----')) {
    throw new UsageError(`${flag}: ${path}: ${whyNo('private key', pem)}`);
  }
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(pem)) {
    throw new UsageError(
      `${flag}: ${path}: the key has a passphrase; take it off: openssl pkey -in FILE -out NEW`,
    );
  }
  try {
    return { pem, key: createPrivateKey(pem) };
  } catch (error) {
    throw new UsageError(`${flag}: ${path}: the private key is damaged; copy the file again`, {
      cause: error,
    });
  }
}

function whyNo(wanted: string, pem: string): string {
  if (pem.trim() === '') return `the file is empty; a ${wanted} in PEM belongs there`;
  const found = anyBlock.exec(pem)?.[1];
  if (found) {
    return `holds a ${found.toLowerCase()} and no ${wanted}; were two files swapped?`;
  }
  return `is not PEM; a ${wanted} in PEM starts with -----BEGIN ${wanted.toUpperCase()}-----`;
}
