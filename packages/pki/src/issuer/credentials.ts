import type { X509Certificate } from 'node:crypto';
import { UsageError } from '@fairlead/runtime/process';
import {
  loadTlsFiles,
  readCertificateFile,
  readKeyFile,
  type TlsFiles,
} from '@fairlead/runtime/tls';
import { Authority } from '../authority.ts';
import { PkiError } from '../pki-error.ts';
import type { IssuerOptions } from './options.ts';

/** What the issuer signs with, and the TLS context of its port (`context`). */
export interface IssuerCredentials extends TlsFiles {
  readonly authority: Authority;
  readonly caPem: string;
}

/**
 * Reads and checks the issuer's files.
 *
 * @param inUse the credentials that the files replace
 * @throws UsageError that names flag, file and cure
 */
export function loadCredentials(
  { caCert, issuerCert, issuerKey, serverCert, serverKey }: IssuerOptions,
  inUse?: IssuerCredentials,
): IssuerCredentials {
  const common = { cipherSuites: [], minVersion: 'VersionTLS13', inUse } as const;
  const ca = { flag: '--ca-cert', path: caCert };
  const signer = {
    cert: { flag: '--issuer-cert', path: issuerCert },
    key: { flag: '--issuer-key', path: issuerKey },
  };
  const server = loadTlsFiles({
    identity: {
      cert: { flag: '--server-cert', path: serverCert },
      key: { flag: '--server-key', path: serverKey },
      purpose: 'server',
    },
    ca,
    ...common,
  });
  const { pem: caPem, certificates: cas } = readCertificateFile(ca);
  const issuer = loadTlsFiles({ identity: signer, ...common });
  const chain = readCertificateFile(signer.cert).certificates;
  const authority = authorityOf(issuerCert, chain, readKeyFile(signer.key).key);
  refuseUnfitSigner(issuerCert, authority, chain, cas);
  return {
    authority,
    context: server.context,
    caPem,
    warnings: [...server.warnings, ...issuer.warnings],
    expiries: [...server.expiries, ...issuer.expiries],
    certificates: [...server.certificates, ...issuer.certificates],
  };
}

function authorityOf(
  path: string,
  [certificate, ...others]: readonly [X509Certificate, ...X509Certificate[]],
  key: Authority['privateKey'],
): Authority {
  try {
    return new Authority(certificate, key, others);
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
      `--issuer-cert: ${path}: is a root CA, whose key must not be on a machine that strangers can reach; make an intermediate CA: fairlead pki issuer`,
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
