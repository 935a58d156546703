import { join } from 'node:path';
import type { IssueOptions, PemFile } from '@fairlead/pki';
import {
  type AuthorityName,
  authorityNames,
  clientFileName,
  readTestPki,
  type TestPki,
} from './test-pki.ts';

const dayMs = 86_400_000;

/**
 * Makes a `TestPki` in `directory` with `@fairlead/pki`: EC P-256, the layout of `fairlead pki
 * init` plus `kubelet`, `foreign` and expired certificates. Rejects if a file exists.
 */
export async function makeFairleadPki(directory: string): Promise<TestPki> {
  const { writePemFiles } = await import('@fairlead/pki');
  const files = await Promise.all(
    authorityNames.map((name) => makeAuthority(join(directory, name), name)),
  );
  await writePemFiles(files.flat());
  return readTestPki(directory);
}

async function makeAuthority(directory: string, name: AuthorityName): Promise<PemFile[]> {
  // Imported here, because most test files use existing certificates.
  const { createAuthority, issueCertificate, pemPair } = await import('@fairlead/pki');
  const now = Date.now();
  // Old enough to have issued the expired certificate.
  const authority = await createAuthority({
    name: `${name} test CA`,
    now: new Date(now - 30 * dayMs),
  });
  const clientName = clientFileName(name);
  const client: IssueOptions = {
    kind: clientName,
    name: `${name}-${clientName}`,
    organizations: ['fairlead:tests'],
  };
  const [server, valid, expired] = await Promise.all([
    issueCertificate(authority, {
      kind: 'server',
      name: 'localhost',
      hosts: ['localhost'],
      ips: ['127.0.0.1', '::1'],
    }),
    issueCertificate(authority, client),
    issueCertificate(authority, { ...client, now: new Date(now - 20 * dayMs), days: 1 }),
  ]);
  return [
    ...pemPair(directory, 'ca', authority),
    ...pemPair(directory, 'server', server),
    ...pemPair(directory, clientName, valid),
    ...pemPair(directory, 'expired', expired),
  ];
}
