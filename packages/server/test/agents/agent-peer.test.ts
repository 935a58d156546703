import { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { type AgentPeer, identityOf, nameOf, peerOf } from '@fairlead/server/internal';
import { sharedTestPki } from '@fairlead/testkit';
import t from 'tap';

const { agent } = await sharedTestPki();
const certificate = new X509Certificate(agent.client.cert);

/** A connection whose peer has shown this certificate. */
const socketOf = (shown: X509Certificate | undefined) =>
  ({
    remoteAddress: '10.0.0.9',
    remotePort: 4000,
    getPeerCertificate: () => shown?.toLegacyObject() ?? {},
  }) as unknown as TLSSocket;

const token = { username: 'system:serviceaccount:a:b', nodeName: 'node-1', identity: 'b node-1' };

t.test('a peer is who its certificate says', async (t) => {
  const peer = peerOf(socketOf(certificate));
  t.match(peer, {
    address: '10.0.0.9:4000',
    commonName: /^CN=(.*)$/m.exec(certificate.subject)?.[1],
    certificate: {
      serialNumber: certificate.serialNumber.toLowerCase().replace(/^0+/, ''),
      fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
      constraints: { defaultRoute: false },
    },
  });
  t.equal(identityOf(peer), peer.certificate?.fingerprint);
  t.equal(identityOf({ ...peer, token }), peer.certificate?.fingerprint);
  t.ok(nameOf(peer));
  t.equal(nameOf({ ...peer, token }), peer.commonName);
});

t.test('a peer without a certificate has no identity but that of its token', async (t) => {
  const peer = peerOf(socketOf(undefined));
  t.strictSame(peer, { address: '10.0.0.9:4000', commonName: undefined, certificate: undefined });
  t.equal(identityOf(peer), undefined);
  t.equal(nameOf(peer), undefined);
  const identified: AgentPeer = { ...peer, token };
  t.equal(identityOf(identified), 'b node-1');
  t.equal(nameOf(identified), 'system:serviceaccount:a:b on node-1');
  t.equal(nameOf({ ...peer, token: { ...token, nodeName: undefined } }), token.username);
});
