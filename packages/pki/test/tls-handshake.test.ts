import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import {
  checkServerIdentity,
  connect,
  createServer,
  type SecureVersion,
  type TLSSocket,
} from 'node:tls';
import {
  type Authority,
  certifyKey,
  createAuthority,
  type IssuedCertificate,
  issueCertificate,
  type KeyType,
} from '@fairlead/pki';
import t, { type Test } from 'tap';

interface Side {
  readonly ca: Authority;
  readonly own: IssuedCertificate;
}

/** Connects with certificates on both sides and returns the client's names as the server sees them. */
async function handshake(
  t: Test,
  server: Side,
  client: Side,
  options: { version?: SecureVersion; servername?: string; host?: string } = {},
): Promise<{ protocol: string | null; clientName: unknown; clientOrganization: unknown }> {
  const version = options.version ?? 'TLSv1.3';
  const listener = createServer({
    cert: server.own.certPem,
    key: server.own.keyPem,
    ca: server.ca.certPem,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: version,
    maxVersion: version,
  });
  t.teardown(() => listener.close());
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const arrived = new Promise<TLSSocket>((resolve, reject) => {
    listener.once('secureConnection', resolve);
    // The error of Node is "socket hang up". The socket has the reason.
    listener.once('tlsClientError', (error, refused) =>
      reject(new Error(String(refused.authorizationError ?? error))),
    );
  });
  // In TLS 1.3 a client completes its handshake before the server has verified it.
  arrived.catch(() => {});
  const socket = connect({
    host: '127.0.0.1',
    port: (listener.address() as AddressInfo).port,
    cert: client.own.certPem,
    key: client.own.keyPem,
    ca: client.ca.certPem,
    servername: options.servername ?? 'localhost',
    checkServerIdentity: (_, certificate) =>
      checkServerIdentity(options.host ?? options.servername ?? 'localhost', certificate),
    minVersion: version,
    maxVersion: version,
  });
  t.teardown(() => socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  const peer = await arrived;
  t.teardown(() => peer.destroy());
  const { subject } = peer.getPeerCertificate();
  return { protocol: peer.getProtocol(), clientName: subject.CN, clientOrganization: subject.O };
}

const serverNames = {
  kind: 'server',
  name: 'not-a-host',
  hosts: ['localhost'],
  ips: ['127.0.0.1', '::1', 'fd00::1:2'],
} as const;
const clientNames = { kind: 'agent', name: 'node-1', organizations: ['a', 'b'] } as const;

/** Issues leaves of an authority, by default of a new one with the same key type. */
async function sides(
  keyType: KeyType,
  authority?: Authority,
): Promise<{ server: Side; client: Side }> {
  const ca = authority ?? (await createAuthority({ name: 'Test CA', keyType }));
  const [server, client] = await Promise.all([
    issueCertificate(ca, { ...serverNames, keyType }),
    issueCertificate(ca, { ...clientNames, keyType }),
  ]);
  return { server: { ca, own: server }, client: { ca, own: client } };
}

/** Certifies the same keys and names by another authority. */
function certifiedBy(
  ca: Authority,
  { server, client }: { server: Side; client: Side },
): { server: Side; client: Side } {
  const again = ({ own }: Side, names: typeof serverNames | typeof clientNames): Side => ({
    ca,
    own: { keyPem: own.keyPem, ...certifyKey(ca, own.certificate.publicKey, names) },
  });
  return { server: again(server, serverNames), client: again(client, clientNames) };
}

/** The keys are shared because RSA keys are slow to create. */
const [ec, rsa] = await Promise.all([sides('ec'), sides('rsa')]);
const pairs = {
  ec: { ec, rsa: certifiedBy(ec.server.ca, rsa) },
  rsa: { ec: certifiedBy(rsa.server.ca, ec), rsa },
};
for (const caKey of ['ec', 'rsa'] as const) {
  for (const leafKey of ['ec', 'rsa'] as const) {
    for (const version of ['TLSv1.3', 'TLSv1.2'] as const) {
      t.test(`mutual ${version} with ${leafKey} leaves of an ${caKey} authority`, async (t) => {
        const { server, client } = pairs[caKey][leafKey];
        t.same(await handshake(t, server, client, { version }), {
          protocol: version,
          clientName: 'node-1',
          clientOrganization: ['a', 'b'],
        });
      });
    }
  }
}

t.test(
  'the client accepts the alternative names of the server, and not its common name',
  async (t) => {
    const { server, client } = await sides('ec');
    for (const host of ['localhost', 'LOCALHOST', '127.0.0.1', '::1', 'fd00::1:2']) {
      await t.resolves(handshake(t, server, client, { host }), host);
    }
    for (const host of ['not-a-host', '127.0.0.2', '::2', 'sub.localhost']) {
      await t.rejects(handshake(t, server, client, { host }), {
        code: 'ERR_TLS_CERT_ALTNAME_INVALID',
      });
    }
  },
);

t.test('both sides refuse a certificate of another authority with the same name', async (t) => {
  const [{ server, client }, foreign] = await Promise.all([sides('ec'), sides('ec')]);
  const impostor = { ca: client.ca, own: foreign.client.own };
  await t.rejects(handshake(t, server, impostor), /^(UNABLE_TO_|CERT_SIGNATURE_)/);
  const impostorServer = { ca: server.ca, own: foreign.server.own };
  await t.rejects(handshake(t, impostorServer, client), { code: /^(UNABLE_TO_|CERT_SIGNATURE_)/ });
});

t.test('both sides refuse a certificate for the other purpose', async (t) => {
  const { server, client } = await sides('ec');
  const swapped = { ca: server.ca, own: server.own };
  await t.rejects(handshake(t, server, swapped), /^INVALID_PURPOSE$/);
  const agentAsServer = await issueCertificate(server.ca, {
    kind: 'agent',
    name: 'a',
    hosts: ['localhost'],
  });
  await t.rejects(handshake(t, { ca: server.ca, own: agentAsServer }, client), {
    code: 'INVALID_PURPOSE',
  });
});

t.test('an expired client is refused', async (t) => {
  const now = new Date(Date.now() - 10 * 86_400_000);
  const ca = await createAuthority({ name: 'Test CA', now });
  const server = await issueCertificate(ca, { kind: 'server', name: 's', hosts: ['localhost'] });
  const expired = await issueCertificate(ca, { kind: 'client', name: 'c', days: 9, now });
  await t.rejects(handshake(t, { ca, own: server }, { ca, own: expired }), /^CERT_HAS_EXPIRED$/);
});
