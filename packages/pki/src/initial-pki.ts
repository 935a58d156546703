import { join } from 'node:path';
import { type Authority, createAuthority, createIssuingAuthority } from './authority.ts';
import { type IssuedCertificate, issueCertificate } from './issue.ts';
import type { KeyType } from './key-pair.ts';
import {
  certificateFile,
  certificatePaths,
  pemPair,
  refuseExisting,
  writePemFiles,
} from './pem-files.ts';

export interface InitialPkiOptions {
  /** Default `ec`. */
  readonly keyType?: KeyType;
  /** Lifetime of the leaves; default 365. */
  readonly days?: number;
  /** Lifetime of the authorities; default 3650, and 1825 for an issuer's. */
  readonly caDays?: number;
  readonly hosts?: readonly string[];
  readonly ips?: readonly string[];
}

/**
 * Two authorities, neither of which trusts the other's clients: an agent cannot pass as a client of the
 * front end, nor a client as an agent. The keys are the names of directories and files.
 */
export type InitialPki = Awaited<ReturnType<typeof createInitialPki>>;

/**
 * Makes the first certificates of an installation, in memory. The server's certificates also name
 * `localhost`, `127.0.0.1` and `::1`. Throws as createAuthority and issueCertificate do.
 */
export async function createInitialPki(options: InitialPkiOptions = {}) {
  const { keyType = 'ec', days = 365, caDays = 3650 } = options;
  const common = { keyType, days };
  const server = {
    ...common,
    kind: 'server',
    name: 'fairlead-server',
    hosts: ['localhost', ...(options.hosts ?? [])],
    ips: ['127.0.0.1', '::1', ...(options.ips ?? [])],
  } as const;
  const [frontendCa, agentCa] = await Promise.all([
    createAuthority({ name: 'Fairlead front-end CA', keyType, days: caDays }),
    createAuthority({ name: 'Fairlead agent CA', keyType, days: caDays }),
  ]);
  const [frontendServer, client, agentServer, agent] = await Promise.all([
    issueCertificate(frontendCa, server),
    issueCertificate(frontendCa, { ...common, kind: 'client', name: 'fairlead-client' }),
    issueCertificate(agentCa, server),
    issueCertificate(agentCa, { ...common, kind: 'agent', name: 'fairlead-agent' }),
  ]);
  return {
    frontend: { ca: frontendCa, server: frontendServer, client },
    agent: { ca: agentCa, server: agentServer, agent },
  };
}

const layout = { frontend: ['ca', 'server', 'client'], agent: ['ca', 'server', 'agent'] } as const;

/**
 * Makes the certificates and writes them to `DIR/frontend/{ca,server,client}.{crt,key}` and
 * `DIR/agent/{ca,server,agent}.{crt,key}`. Throws PkiError, before it writes anything, or Node's own
 * error; see writePemFiles.
 */
export async function writeInitialPki(
  dir: string,
  options: InitialPkiOptions & { readonly force?: boolean } = {},
): Promise<InitialPki> {
  const { force = false } = options;
  const paths = Object.entries(layout).flatMap(([side, names]) =>
    names.flatMap((name) => Object.values(certificatePaths(join(dir, side), name))),
  );
  // writePemFiles checks too, but only after the seconds that making RSA keys takes.
  if (!force) await refuseExisting(paths);
  const pki = await createInitialPki(options);
  const files = Object.entries(pki).flatMap(
    ([side, pairs]: [string, InitialPki[keyof InitialPki]]) =>
      Object.entries(pairs).flatMap(([name, pair]) => pemPair(join(dir, side), name, pair)),
  );
  await writePemFiles(files, { force });
  return pki;
}

/**
 * Makes what `fairlead issuer` runs with: an authority below `root` for agents' certificates and a server
 * certificate for the enrollment port. Writes `DIR/issuer.{crt,key}`, `DIR/server.{crt,key}` and the
 * root's certificate, without its key, as `DIR/ca.crt`.
 *
 * Throws PkiError, before it writes anything, or Node's own error; see writePemFiles.
 */
export async function writeIssuerPki(
  dir: string,
  root: Authority,
  options: InitialPkiOptions & { readonly force?: boolean },
): Promise<{ readonly authority: Authority; readonly server: IssuedCertificate }> {
  const { keyType = 'ec', caDays = 1825, force = false, ...leaf } = options;
  const names = ['ca.crt', 'issuer.crt', 'issuer.key', 'server.crt', 'server.key'];
  if (!force) await refuseExisting(names.map((name) => join(dir, name)));
  const authority = await createIssuingAuthority(root, {
    name: 'Fairlead issuer of agents',
    keyType,
    days: caDays,
  });
  const name = 'fairlead-issuer';
  const server = await issueCertificate(root, { ...leaf, kind: 'server', name, keyType });
  const files = [
    certificateFile(dir, 'ca', root.certPem),
    ...pemPair(dir, 'issuer', { certPem: authority.chainPem, keyPem: authority.keyPem }),
    ...pemPair(dir, 'server', server),
  ];
  await writePemFiles(files, { force });
  return { authority, server };
}
