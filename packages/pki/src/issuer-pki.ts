import { type Authority, createIssuingAuthority } from './authority.ts';
import { type IssuedCertificate, issueCertificate } from './issue.ts';
import type { KeyType } from './key-pair.ts';
import { certificateFile, pemPair, refuseExisting, writePemFiles } from './pem-files.ts';

export interface IssuerPkiOptions {
  /** Names and addresses by which agents reach the issuer; at least one. */
  readonly hosts: readonly string[];
  readonly ips: readonly string[];
  /** Default `ec`. */
  readonly keyType?: KeyType;
  /** Lifetime of the issuer's server certificate; default 365. */
  readonly days?: number;
  /** Lifetime of the intermediate authority; default 1825. */
  readonly caDays?: number;
  readonly force?: boolean;
}

/** What an issuer of agents' certificates runs with. */
export interface IssuerPki {
  readonly authority: Authority;
  readonly server: IssuedCertificate;
}

/**
 * Makes an intermediate authority for agents' certificates and a server certificate for the port where
 * they ask for them, and writes them to `DIR/issuer.{crt,key}`, `DIR/server.{crt,key}` and the root to
 * `DIR/ca.crt`. The root's key is not among them.
 *
 * Throws PkiError, before anything is written, or Node's own error; see writePemFiles.
 */
export async function writeIssuerPki(
  dir: string,
  root: Authority,
  options: IssuerPkiOptions,
): Promise<IssuerPki> {
  const { hosts, ips, keyType = 'ec', days = 365, caDays = 1825, force = false } = options;
  const made = { certPem: '', keyPem: '' };
  const placesOf = (pems: typeof made, issuerPems: typeof made) => [
    certificateFile(dir, 'ca', root.certPem),
    ...pemPair(dir, 'issuer', issuerPems),
    ...pemPair(dir, 'server', pems),
  ];
  if (!force) await refuseExisting(placesOf(made, made).map(({ path }) => path));
  const authority = await createIssuingAuthority(root, {
    name: 'Fairlead issuer of agents',
    keyType,
    days: caDays,
  });
  const name = 'fairlead-issuer';
  const server = await issueCertificate(root, { kind: 'server', name, hosts, ips, keyType, days });
  const issuer = { certPem: authority.chainPem, keyPem: authority.keyPem };
  await writePemFiles(placesOf(server, issuer), { force });
  return { authority, server };
}
