import { type Authority, createAuthority, issueCertificate } from '@fairlead/pki';

export interface Credentials {
  readonly cert: string;
  readonly key: string;
}

/** Certificates for tests of connections to a server, all EC P-256. */
export interface TestCertificates {
  readonly ca: string;
  /** A CA that neither side trusts. */
  readonly foreignCa: string;
  /** For `localhost`, 127.0.0.1 and ::1. */
  readonly server: Credentials;
  readonly expiredServer: Credentials;
  /** Not valid before tomorrow. */
  readonly earlyServer: Credentials;
  /** For `elsewhere.test` only. */
  readonly otherServer: Credentials;
  readonly agent: Credentials;
  /** Signed by the foreign CA. */
  readonly foreignAgent: Credentials;
}

const DAY_MS = 86_400_000;
const own = { hosts: ['localhost'], ips: ['127.0.0.1', '::1'] };

let made: Promise<TestCertificates> | undefined;

/** Creates the certificates once per process. */
export function testCertificates(): Promise<TestCertificates> {
  made ??= make();
  return made;
}

async function make(): Promise<TestCertificates> {
  const lastYear = new Date(Date.now() - 365 * DAY_MS);
  const tomorrow = new Date(Date.now() + DAY_MS);
  const [authority, foreign] = await Promise.all([
    createAuthority({ name: 'test CA', now: lastYear }),
    createAuthority({ name: 'foreign CA' }),
  ]);
  const server = (options: object, names = own) =>
    issue(authority, { kind: 'server', name: 'test server', ...names, ...options });
  return {
    ca: authority.certPem,
    foreignCa: foreign.certPem,
    server: await server({}),
    expiredServer: await server({ now: lastYear, days: 1 }),
    earlyServer: await server({ now: tomorrow }),
    otherServer: await server({}, { hosts: ['elsewhere.test'], ips: [] }),
    agent: await issue(authority, { kind: 'agent', name: 'agent' }),
    foreignAgent: await issue(foreign, { kind: 'agent', name: 'foreign agent' }),
  };
}

async function issue(
  authority: Authority,
  options: Parameters<typeof issueCertificate>[1],
): Promise<Credentials> {
  const { certPem, keyPem } = await issueCertificate(authority, options);
  return { cert: certPem, key: keyPem };
}
