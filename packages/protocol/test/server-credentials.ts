import { createAuthority, issueCertificate } from '@fairlead/pki';

export interface ServerCredentials {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

let made: Promise<ServerCredentials> | undefined;

/** A certificate for `localhost` and 127.0.0.1, and the CA that signed it. Made once a process. */
export function testServerCredentials(): Promise<ServerCredentials> {
  made ??= (async () => {
    const authority = await createAuthority({ name: 'test CA' });
    const { certPem, keyPem } = await issueCertificate(authority, {
      kind: 'server',
      name: 'localhost',
      hosts: ['localhost'],
      ips: ['127.0.0.1'],
    });
    return { ca: authority.certPem, cert: certPem, key: keyPem };
  })();
  return made;
}
