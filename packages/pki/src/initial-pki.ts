import { join } from 'node:path';
import { type Authority, createAuthority } from './authority.ts';
import { type IssuedCertificate, issueCertificate } from './issue.ts';
import type { KeyType } from './key-pair.ts';
import {
  certificatePaths,
  type PemPair,
  pemPair,
  refuseExisting,
  writePemFiles,
} from './pem-files.ts';

/** The first certificates of an installation. */
export interface InitialPkiOptions {
  /** Default `ec`. */
  readonly keyType?: KeyType;
  /** Lifetime of the leaves; default 365. */
  readonly days?: number;
  /** Lifetime of the authorities; default 3650. */
  readonly caDays?: number;
  /** Names of the server beside `localhost`. */
  readonly hosts?: readonly string[];
  /** Addresses of the server beside `127.0.0.1` and `::1`. */
  readonly ips?: readonly string[];
}

/**
 * Two authorities that do not trust each other's clients, so that no agent can pass as a caller of
 * the front end, nor a caller as an agent. The keys are the names of directories and files.
 */
export interface InitialPki {
  readonly frontend: {
    readonly ca: Authority;
    readonly server: IssuedCertificate;
    readonly client: IssuedCertificate;
  };
  readonly agent: {
    readonly ca: Authority;
    readonly server: IssuedCertificate;
    readonly agent: IssuedCertificate;
  };
}

/** Makes the certificates in memory. Throws as createAuthority and issueCertificate do. */
export async function createInitialPki(options: InitialPkiOptions = {}): Promise<InitialPki> {
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

type PemPairs = Readonly<Record<string, PemPair>>;

const layout = { frontend: ['ca', 'server', 'client'], agent: ['ca', 'server', 'agent'] } as const;

/**
 * Makes the certificates and writes them to `DIR/frontend/{ca,server,client}.{crt,key}` and
 * `DIR/agent/{ca,server,agent}.{crt,key}`. Throws PkiError, before anything is written, or Node's
 * own error; see writePemFiles.
 */
export async function writeInitialPki(
  dir: string,
  options: InitialPkiOptions & { readonly force?: boolean } = {},
): Promise<InitialPki> {
  const { force = false } = options;
  const paths = Object.entries(layout).flatMap(([side, names]) =>
    names.flatMap((name) => Object.values(certificatePaths(join(dir, side), name))),
  );
  // writePemFiles would notice too, but only after seconds of making RSA keys for nothing.
  if (!force) await refuseExisting(paths);
  const pki = await createInitialPki(options);
  const files = Object.entries(pki).flatMap(([side, parts]: [string, PemPairs]) =>
    Object.entries(parts).flatMap(([name, pems]) => pemPair(join(dir, side), name, pems)),
  );
  await writePemFiles(files, { force });
  return pki;
}
