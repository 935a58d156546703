import type { X509Certificate } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';
import { UsageError } from '@fairlead/runtime/process';
import {
  type FileExpiry,
  loadTlsFiles,
  readCertificateFile,
  readKeyFile,
  type TlsFiles,
} from '@fairlead/runtime/tls';
import { Authority, PkiError } from '../../index.ts';

import type { IssuerOptions } from '../options.ts';

/** What the issuer signs with, and what it shows. */
export interface IssuerCredentials {
  readonly authority: Authority;
  readonly tls: SecureContextOptions;
  /** The CAs, in PEM. */
  readonly caPem: string;
  readonly cas: readonly X509Certificate[];
  readonly warnings: readonly string[];
  readonly expiries: readonly FileExpiry[];
  readonly certificates: TlsFiles['certificates'];
}

/**
 * Reads and checks the issuer's files.
 * @param inUse what these files are to replace
 * @throws UsageError that names flag, file and cure
 */
export function loadCredentials(
  options: IssuerOptions,
  inUse?: IssuerCredentials,
): IssuerCredentials {
  const { caCert, issuerCert, issuerKey, serverCert, serverKey } = options;
  const ca = { flag: '--ca-cert', path: caCert };
  const shown = { flag: '--server-cert', path: serverCert };
  const signer = { flag: '--issuer-cert', path: issuerCert };
  const tls = loadTlsFiles({
    identity: {
      cert: shown,
      key: { flag: '--server-key', path: serverKey },
      purpose: 'server',
    },
    ca,
    cipherSuites: [],
    minVersion: 'VersionTLS13',
    inUse,
  });
  const { pem: caPem, certificates: cas } = readCertificateFile(ca);
  const signers = loadTlsFiles({
    identity: { cert: signer, key: { flag: '--issuer-key', path: issuerKey } },
    cipherSuites: [],
    minVersion: 'VersionTLS13',
    inUse,
  });
  const [leaf, ...others] = readCertificateFile(signer).certificates;
  const { key } = readKeyFile({ flag: '--issuer-key', path: issuerKey });
  const authority = authorityOf(issuerCert, () => new Authority(leaf, key, others));
  refuseUnfitSigner(issuerCert, authority, [leaf, ...others], cas);
  return {
    authority,
    tls: tls.context,
    caPem,
    cas,
    warnings: [...tls.warnings, ...signers.warnings],
    expiries: [...tls.expiries, ...signers.expiries],
    certificates: [...tls.certificates, ...signers.certificates],
  };
}

function authorityOf(path: string, make: () => Authority): Authority {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof PkiError)) throw error;
    throw new UsageError(`--issuer-cert: ${path}: ${error.message}`, { cause: error });
  }
}

function refuseUnfitSigner(
  path: string,
  authority: Authority,
  chain: readonly X509Certificate[],
  cas: readonly X509Certificate[],
): void {
  if (authority.isSelfSigned) {
    throw new UsageError(
      `--issuer-cert: ${path}: is a root CA, whose key does not belong on a machine that strangers reach; make an intermediate: fairlead pki issuer`,
    );
  }
  const isTrusted = chain.some((link) =>
    cas.some((ca) => link.checkIssued(ca) && link.verify(ca.publicKey)),
  );
  if (!isTrusted) {
    throw new UsageError(
      `--issuer-cert: ${path}: is not signed by a CA in --ca-cert; add the certificates between them to the file, or give the CA that signed it`,
    );
  }
}
