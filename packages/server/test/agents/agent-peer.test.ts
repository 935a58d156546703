import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { createAuthority, issueCertificate } from '@fairlead/pki';
import { type AgentPeer, identityOf, nameOf, peerOf } from '@fairlead/server/internal';
import t from 'tap';

/** A connection whose peer has shown this certificate. */
const socketOf = (shown: X509Certificate | undefined) =>
  ({
    remoteAddress: '10.0.0.9',
    remotePort: 4000,
    getPeerCertificate: () => shown?.toLegacyObject() ?? {},
  }) as unknown as TLSSocket;

const token = { username: 'system:serviceaccount:a:b', nodeName: 'node-1', identity: 'b node-1' };

t.test('a peer is who its certificate says', async (t) => {
  const ca = await createAuthority({ name: 'ca' });
  const names = { kind: 'agent', name: 'node-1', hosts: ['host-1'] } as const;
  const { certificate } = await issueCertificate(ca, names);
  const peer = peerOf(socketOf(certificate));
  t.match(peer, {
    address: '10.0.0.9:4000',
    commonName: 'node-1',
    certificate: {
      serialNumber: certificate.serialNumber.toLowerCase().replace(/^0+/, ''),
      fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    },
  });
  t.strictSame([...(peer.certificate?.constraints.hosts ?? [])], ['host-1']);
  t.equal(identityOf(peer), peer.certificate?.fingerprint);
  t.equal(identityOf({ ...peer, token }), peer.certificate?.fingerprint);
  t.equal(nameOf(peer), 'node-1');
  t.equal(nameOf({ ...peer, token }), 'node-1');
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
