import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

export type CertificateFiles = Awaited<ReturnType<typeof readCertificate>>;

/** A CA with certificates for both ends of a connection. */
export interface AuthorityFiles {
  readonly caFile: string;
  readonly caKeyFile: string;
  readonly ca: string;
  /** For `localhost`, `127.0.0.1` and `::1`. */
  readonly server: CertificateFiles;
  /** The certificate of the dialing side. */
  readonly client: CertificateFiles;
  /** Like `client`, but its validity ended in the past. */
  readonly expiredClient: CertificateFiles;
}

/**
 * `frontend`: between clients and the server's front end. `agent`: between agents and the server; its client is
 * the agent. `kubelet`: between API server and kubelet, inside the tunnel. `foreign`: a CA that no program trusts.
 */
export const authorityNames = ['frontend', 'agent', 'kubelet', 'foreign'] as const;
export type AuthorityName = (typeof authorityNames)[number];

export type TestPki = { readonly directory: string } & Readonly<
  Record<AuthorityName, AuthorityFiles>
>;

/** The file name of the dialing side's certificate, as in `fairlead pki init`. */
export function clientFileName(authority: AuthorityName): 'agent' | 'client' {
  return authority === 'agent' ? 'agent' : 'client';
}

/** Reads a PKI directory that `makeOpensslPki` or `makeFairleadPki` wrote. */
export async function readTestPki(directory: string): Promise<TestPki> {
  const [frontend, agent, kubelet, foreign] = await Promise.all(
    authorityNames.map((name) => readAuthority(join(directory, name), clientFileName(name))),
  );
  return { directory, frontend: frontend!, agent: agent!, kubelet: kubelet!, foreign: foreign! };
}

async function readAuthority(directory: string, clientName: string): Promise<AuthorityFiles> {
  const caFile = join(directory, 'ca.crt');
  const [ca, server, client, expiredClient] = await Promise.all([
    readFile(caFile, 'utf8'),
    readCertificate(directory, 'server'),
    readCertificate(directory, clientName),
    readCertificate(directory, 'expired'),
  ]);
  return { caFile, caKeyFile: join(directory, 'ca.key'), ca, server, client, expiredClient };
}

async function readCertificate(directory: string, name: string) {
  const certFile = join(directory, `${name}.crt`);
  const keyFile = join(directory, `${name}.key`);
  const [cert, key] = await Promise.all([readFile(certFile, 'utf8'), readFile(keyFile, 'utf8')]);
  return { certFile, keyFile, cert, key };
}
