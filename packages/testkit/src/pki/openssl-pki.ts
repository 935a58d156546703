import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  type AuthorityName,
  authorityNames,
  clientFileName,
  readTestPki,
  type TestPki,
} from './test-pki.ts';

const run = promisify(execFile);

/** Only `openssl ca` accepts dates in every version of OpenSSL. */
const configuration = `
[ca]
default_ca = authority
[authority]
dir = .
certificate = ca.crt
private_key = ca.key
new_certs_dir = .
database = index.txt
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
organizationName = optional
[req]
distinguished_name = name
[name]
[ca_extensions]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[server_extensions]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost,IP:127.0.0.1,IP:::1
[client_extensions]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
`;

const newKey = '-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'.split(' ');
const validNow = ['-days', '30'];
const validOnce = ['-startdate', '20200101000000Z', '-enddate', '20200102000000Z'];

/**
 * Makes a `TestPki` in `directory` with the openssl command: EC P-256, PKCS#8 keys, the layout of
 * `fairlead pki init` plus `kubelet`, `foreign` and expired certificates. Rejects if openssl is
 * missing, or with its output if it fails.
 */
export async function makeOpensslPki(directory: string): Promise<TestPki> {
  await Promise.all(authorityNames.map((name) => makeAuthority(join(directory, name), name)));
  return readTestPki(directory);
}

async function makeAuthority(cwd: string, name: AuthorityName): Promise<void> {
  await mkdir(cwd, { recursive: true, mode: 0o700 });
  await Promise.all([
    writeFile(join(cwd, 'openssl.cnf'), configuration),
    writeFile(join(cwd, 'index.txt'), ''),
  ]);
  const openssl = (...args: string[]) => run('openssl', args, { cwd });
  const request = (file: string, subject: string) =>
    openssl(
      ...['req', '-new', '-config', 'openssl.cnf', ...newKey],
      ...['-subj', subject, '-keyout', `${file}.key`, '-out', `${file}.csr`],
    );
  const clientName = clientFileName(name);
  const clientSubject = `/O=fairlead:tests/CN=${name}-${clientName}`;
  await Promise.all([
    openssl(
      ...['req', '-x509', '-config', 'openssl.cnf', ...newKey, ...validNow],
      ...['-subj', `/CN=${name} test CA`, '-extensions', 'ca_extensions'],
      ...['-keyout', 'ca.key', '-out', 'ca.crt'],
    ),
    request('server', '/CN=localhost'),
    request(clientName, clientSubject),
    request('expired', clientSubject),
  ]);
  const sign = (file: string, extensions: string, validity: string[]) =>
    openssl(
      ...['ca', '-batch', '-notext', '-config', 'openssl.cnf', '-extensions', extensions],
      ...[...validity, '-in', `${file}.csr`, '-out', `${file}.crt`],
    );
  // One after the other, because they share the CA's database file.
  await sign('server', 'server_extensions', validNow);
  await sign(clientName, 'client_extensions', validNow);
  await sign('expired', 'client_extensions', validOnce);
}
