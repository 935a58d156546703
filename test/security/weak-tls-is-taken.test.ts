import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';
import { loopback, startServer } from '../support/fleet.ts';
import { testPki } from './fixture.ts';

const pki = await testPki();

/** What `openssl s_client` makes of a port: the protocol and cipher that it agreed on, or none. */
async function probe(port: number, args: readonly string[], client: { cert: string; key: string }) {
  const connection = ['-connect', `${loopback}:${port}`, '-servername', 'localhost'];
  const child = spawn(
    'openssl',
    ['s_client', ...connection, '-cert', client.cert, '-key', client.key, '-brief', ...args],
    { stdio: ['pipe', 'pipe', 'pipe'] },
  );
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      text += chunk;
    });
  }
  child.stdin.end();
  await once(child, 'close');
  const [, protocol] = /^Protocol version: (\S+)/m.exec(text) ?? [];
  const [, cipher] = /^Ciphersuite: (\S+)/m.exec(text) ?? [];
  return { protocol, cipher };
}

const nothing = { protocol: undefined, cipher: undefined };

/** The probe itself must be able to speak what it asks for: hence security level 0. */
const weak: Record<string, readonly string[]> = {
  'TLS 1.0': ['-tls1', '-cipher', 'ALL:@SECLEVEL=0'],
  'TLS 1.1': ['-tls1_1', '-cipher', 'ALL:@SECLEVEL=0'],
  'no encryption': ['-tls1_2', '-cipher', 'NULL:@SECLEVEL=0'],
  'no authentication': ['-tls1_2', '-cipher', 'aNULL:@SECLEVEL=0'],
  'triple DES': ['-tls1_2', '-cipher', '3DES:@SECLEVEL=0'],
  'export and low': ['-tls1_2', '-cipher', 'LOW:EXP:RC4:MD5:@SECLEVEL=0'],
  CBC: ['-tls1_2', '-cipher', 'ECDHE+AES:!AESGCM:!AESCCM:@SECLEVEL=0'],
  'AES-CCM': ['-tls1_2', '-cipher', 'AESCCM:@SECLEVEL=0'],
  'no forward secrecy': ['-tls1_2', '-cipher', 'kRSA:@SECLEVEL=0'],
  'finite-field Diffie-Hellman': ['-tls1_2', '-cipher', 'kDHE:@SECLEVEL=0'],
};

for (const keyType of ['ec', 'rsa'] as const) {
  t.test(`old versions and weak suites get no handshake on either port: ${keyType}`, async (t) => {
    const served = { kind: 'server', hosts: ['localhost'], ips: [loopback], keyType } as const;
    const [forAgents, forClients] = [
      await pki.issue(pki.agentCa, { ...served, name: `${keyType}-agent-port` }),
      await pki.issue(pki.frontEndCa, { ...served, name: `${keyType}-front-end` }),
    ];
    const server = await startServer(t, {
      clusterCert: forAgents.cert,
      clusterKey: forAgents.key,
      serverCert: forClients.cert,
      serverKey: forClients.key,
    });
    const ports = {
      agent: [server.agentPort, await pki.agent({ name: 'probe' })],
      'front end': [server.tcp.port, await pki.client({ name: 'probe-client' })],
    } as const;
    for (const [name, [port, client]] of Object.entries(ports)) {
      const good = await probe(port, [], client);
      t.match(good, { protocol: 'TLSv1.3' }, `${name}: TLS 1.3 is what is spoken`);
      t.match(
        await probe(port, ['-tls1_2'], client),
        { protocol: 'TLSv1.2' },
        `${name}: the floor`,
      );
      for (const [what, args] of Object.entries(weak)) {
        t.same(await probe(port, args, client), nothing, `${name}: ${what}`);
      }
    }
  });
}

t.test('--tls-min-version VersionTLS13 and --cipher-suites narrow it further', async (t) => {
  const server = await startServer(t, {
    tlsMinVersion: 'VersionTLS13',
    cipherSuites: ['TLS_AES_256_GCM_SHA384'],
  });
  const client = await pki.client({ name: 'probe-client' });
  const { port } = server.tcp;
  t.same(await probe(port, ['-tls1_2'], client), nothing);
  t.same(await probe(port, ['-ciphersuites', 'TLS_AES_128_GCM_SHA256'], client), nothing);
  t.match(await probe(port, [], client), { cipher: 'TLS_AES_256_GCM_SHA384' });
});
