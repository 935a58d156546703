/** Valid certificate files are replaced by invalid ones while server and agent run. */
import { writeFileSync } from 'node:fs';
import { createAuthority, issueCertificate } from '@fairlead/pki';
import type { LogWatch } from '@fairlead/testkit';
import t from 'tap';
import { loopback, startServer } from '../support/fleet.ts';
import { startAgent, testPki } from './fixture.ts';

const dayMs = 86_400_000;
const longAgo = new Date(Date.now() - 100 * dayMs);
const pki = await testPki();
const oldCa = await createAuthority({ name: 'a CA of long ago', now: longAgo, days: 10 });
const deadCa = await createAuthority({ name: 'a CA of old', now: longAgo });
const names = { name: 'untimely', hosts: ['localhost'], ips: [loopback] };
const valid = await issueCertificate(pki.agentCa, { ...names, kind: 'server' });
const expired = await issueCertificate(deadCa, { ...names, kind: 'server', now: longAgo, days: 1 });
const node = await issueCertificate(pki.agentCa, { name: 'node', kind: 'agent' });
const expiredNode = await issueCertificate(deadCa, {
  ...{ name: 'node', kind: 'agent', now: longAgo, days: 1 },
});

const refusals = (log: LogWatch) => log.of('new files are invalid, the previous ones stay in use');

t.test('the server ignores invalid certificates and keeps the previous ones', async (t) => {
  const [clusterCert, clusterKey, clusterCaCert] = await Promise.all([
    pki.file('c.crt', valid.certPem),
    pki.file('c.key', valid.keyPem),
    pki.file('c-ca.crt', pki.agentCa.certPem),
  ]);
  const files = { clusterCert, clusterKey, clusterCaCert };
  const { server, log, metric } = await startServer(t, { ...files, reloadInterval: 2 ** 30 });
  const put = (cert: { certPem: string; keyPem: string }, ca: string) => {
    writeFileSync(clusterCert, cert.certPem);
    writeFileSync(clusterKey, cert.keyPem);
    writeFileSync(clusterCaCert, ca);
    server.reload();
    return refusals(log).at(-1)?.detail;
  };
  t.match(
    put(expired, pki.agentCa.certPem),
    /^--cluster-cert: .*c\.crt: CN=untimely expired at .*, while the certificate in use is still valid\. Issue/,
  );
  t.match(put(valid, oldCa.certPem), /^--cluster-ca-cert: .*CN=a CA of long ago expired at/);
  t.match(put(node, pki.agentCa.certPem), /^--cluster-cert: .* for clientAuth and not for serverA/);
  t.equal(refusals(log).length, 3);
  t.equal(log.of('reloaded').length, 0);
  const labels = '{files="agent-port certificates",outcome="refused"}';
  t.equal(await metric('fairlead_server_file_reloads_total', labels), 3);
  put(valid, oldCa.certPem + pki.agentCa.certPem);
  t.equal(log.of('reloaded').length, 1, 'one valid CA is enough');
});

t.test('the agent ignores invalid certificates and keeps the previous ones', async (t) => {
  const server = await startServer(t);
  const [cert, key] = await Promise.all([
    pki.file('n.crt', node.certPem),
    pki.file('n.key', node.keyPem),
  ]);
  const { agent, log } = await startAgent(
    t,
    server,
    { ...node, cert, key },
    {
      reloadInterval: 2 ** 30,
    },
  );
  const put = (certificate: { certPem: string; keyPem: string }) => {
    writeFileSync(cert, certificate.certPem);
    writeFileSync(key, certificate.keyPem);
    agent.reload();
    return refusals(log).at(-1)?.detail;
  };
  t.match(
    put(expiredNode),
    /^--agent-cert: .*n\.crt: CN=node expired at .*, while the certificate in use/,
  );
  t.match(put(valid), /^--agent-cert: .* is for serverAuth and not for clientAuth/);
  t.equal(log.of('reloaded').length, 0);
});
