import { once } from 'node:events';
import { type ConnectionOptions, connect, createSecureContext, createServer } from 'node:tls';
import t from 'tap';
import { loopback, startServer } from '../support/fleet.ts';
import { type Credentials, testPki } from './fixture.ts';

const pki = await testPki();

interface Negotiated {
  readonly protocol: string | undefined;
  readonly cipher: string | undefined;
}

const noHandshake: Negotiated = { protocol: undefined, cipher: undefined };

/** The protocol and cipher that a port negotiates with a client that offers only this. */
async function probe(
  port: number,
  offer: ConnectionOptions,
  client: Credentials,
): Promise<Negotiated> {
  const { certPem: cert, keyPem: key } = client;
  const socket = connect({
    ...{ host: loopback, port, cert, key, servername: 'localhost', rejectUnauthorized: false },
    ...offer,
  });
  try {
    await once(socket, 'secureConnect');
    const { standardName: cipher } = socket.getCipher();
    return { protocol: socket.getProtocol() ?? undefined, cipher };
  } catch {
    return noHandshake;
  } finally {
    socket.destroy();
  }
}

const old = (version: 'TLSv1' | 'TLSv1.1'): ConnectionOptions => ({
  minVersion: version,
  maxVersion: version,
  ciphers: 'ALL:@SECLEVEL=0',
});
const tls12 = (ciphers: string): ConnectionOptions => ({
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.2',
  ciphers: `${ciphers}:@SECLEVEL=0`,
});

/** Security level 0 lets the probe itself offer these. */
const weak: Record<string, ConnectionOptions> = {
  'TLS 1.0': old('TLSv1'),
  'TLS 1.1': old('TLSv1.1'),
  'no encryption': tls12('NULL'),
  'no authentication': tls12('aNULL'),
  'triple DES': tls12('3DES'),
  'export and low': tls12('LOW:EXP:RC4:MD5'),
  CBC: tls12('ECDHE+AES:!AESGCM:!AESCCM'),
  'AES-CCM': tls12('AESCCM'),
  'no forward secrecy': tls12('kRSA'),
  'finite-field Diffie-Hellman': tls12('kDHE'),
};

const everything = { minVersion: 'TLSv1', ciphers: 'ALL:COMPLEMENTOFALL:@SECLEVEL=0' } as const;

/** Whether the OpenSSL of this Node has the suites. Fairlead's programs use the same OpenSSL. */
function hasSuites(offer: ConnectionOptions): boolean {
  try {
    createSecureContext(offer);
    return true;
  } catch {
    return false;
  }
}

const offers = Object.entries(weak).filter(([, offer]) => hasSuites(offer));
/** The offers that the probe negotiated with a server that accepts everything. */
const negotiated = new Set<string>();

for (const keyType of ['ec', 'rsa'] as const) {
  t.test(`both ports refuse old TLS versions and weak cipher suites: ${keyType} key`, async (t) => {
    const served = { kind: 'server', hosts: ['localhost'], ips: [loopback], keyType } as const;
    const [forAgents, forClients, agent, client] = await Promise.all([
      pki.issue(pki.agentCa, { ...served, name: `${keyType}-agent-port` }),
      pki.issue(pki.frontEndCa, { ...served, name: `${keyType}-front-end` }),
      pki.agent({ name: 'probe' }),
      pki.client({ name: 'probe-client' }),
    ]);
    const server = await startServer(t, {
      clusterCert: forAgents.cert,
      clusterKey: forAgents.key,
      serverCert: forClients.cert,
      serverKey: forClients.key,
    });
    // Accepts every offer, which shows that the probe can make it.
    const lax = createServer({
      ...{ cert: forAgents.certPem, key: forAgents.keyPem, dhparam: 'auto' },
      ...everything,
    });
    lax.on('tlsClientError', () => {}).listen(0, loopback);
    await once(lax, 'listening');
    t.teardown(() => lax.close());
    const { port: laxPort } = lax.address() as { port: number };
    for (const [what, offer] of offers) {
      const { cipher } = await probe(laxPort, offer, agent);
      if (cipher !== undefined) negotiated.add(what);
    }
    const ports = {
      agent: [server.agentPort, agent],
      'front end': [server.tcp.port, client],
    } as const;
    for (const [name, [port, credentials]] of Object.entries(ports)) {
      t.match(
        await probe(port, {}, credentials),
        { protocol: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256' },
        `${name}: TLS 1.3 with AES-128 is the default`,
      );
      t.match(
        await probe(port, { maxVersion: 'TLSv1.2' }, credentials),
        { protocol: 'TLSv1.2' },
        `${name}: TLS 1.2 is the minimum`,
      );
      for (const [what, offer] of offers) {
        t.same(await probe(port, offer, credentials), noHandshake, `${name}: ${what}`);
      }
    }
  });
}

t.test('the probe can negotiate each weak offer with a server that accepts it', async (t) => {
  for (const [what, offer] of Object.entries(weak)) {
    if (hasSuites(offer)) t.ok(negotiated.has(what), what);
    else t.pass(what, { skip: 'the OpenSSL of this Node does not have the suites' });
  }
});

t.test('--tls-min-version and --cipher-suites restrict versions and ciphers further', async (t) => {
  const server = await startServer(t, {
    tlsMinVersion: 'VersionTLS13',
    cipherSuites: ['TLS_AES_256_GCM_SHA384'],
  });
  const client = await pki.client({ name: 'probe-client' });
  const { port } = server.tcp;
  t.same(await probe(port, { maxVersion: 'TLSv1.2' }, client), noHandshake);
  t.same(await probe(port, { ciphers: 'TLS_AES_128_GCM_SHA256' }, client), noHandshake);
  t.match(await probe(port, {}, client), { cipher: 'TLS_AES_256_GCM_SHA384' });
});
