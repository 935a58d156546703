import { X509Certificate } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInitialPki, issueCertificate, loadAuthority, writeInitialPki } from '@fairlead/pki';
import t from 'tap';
import { isSignedBy } from './fixtures.ts';
import { openssl, skipWithoutOpenssl } from './openssl.ts';

const read = async (path: string): Promise<X509Certificate> =>
  new X509Certificate(await readFile(path));

for (const keyType of ['ec', 'rsa'] as const) {
  t.test(
    `openssl accepts every ${keyType} certificate for its purpose`,
    { skip: skipWithoutOpenssl },
    async (t) => {
      const dir = t.testdir();
      await writeInitialPki(dir, { keyType, hosts: ['proxy.example'], ips: ['192.0.2.7'] });
      const verify = (side: string, name: string, ...more: string[]): Promise<string> =>
        openssl(
          ...['verify', '-x509_strict', '-auth_level', '2', ...more],
          ...['-CAfile', join(dir, side, 'ca.crt'), join(dir, side, `${name}.crt`)],
        );
      for (const side of ['frontend', 'agent']) {
        for (const host of ['localhost', 'proxy.example']) {
          const verdict = verify(side, 'server', '-purpose', 'sslserver', '-verify_hostname', host);
          t.match(await verdict, /: OK/);
        }
        for (const ip of ['127.0.0.1', '::1', '192.0.2.7']) {
          const verdict = verify(side, 'server', '-purpose', 'sslserver', '-verify_ip', ip);
          t.match(await verdict, /: OK/);
        }
        await t.rejects(verify(side, 'server', '-purpose', 'sslclient'), /purpose/);
      }
      t.match(await verify('frontend', 'client', '-purpose', 'sslclient'), /: OK/);
      t.match(await verify('agent', 'agent', '-purpose', 'sslclient'), /: OK/);
      await t.rejects(verify('agent', 'agent', '-purpose', 'sslserver'), /purpose/);
      const crossed = ['-CAfile', join(dir, 'frontend/ca.crt'), join(dir, 'agent/agent.crt')];
      await t.rejects(openssl('verify', ...crossed), /unable to get local issuer/);
    },
  );
}

t.test('each authority signs its own leaves', async (t) => {
  const { frontend, agent } = await createInitialPki({ days: 7, caDays: 70 });
  t.ok(isSignedBy(frontend.server, frontend.ca));
  t.ok(isSignedBy(frontend.client, frontend.ca));
  t.ok(isSignedBy(agent.server, agent.ca));
  t.ok(isSignedBy(agent.agent, agent.ca));
  t.notOk(isSignedBy(agent.agent, frontend.ca));
  t.equal(
    agent.server.certificate.subjectAltName,
    'DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1',
  );
  t.equal(agent.agent.certificate.subject, 'CN=fairlead-agent');
  t.equal(frontend.client.certificate.subject, 'CN=fairlead-client');
  const days = (until: Date): number => Math.round((until.getTime() - Date.now()) / 86_400_000);
  t.equal(days(agent.agent.notAfter), 7);
  t.equal(days(agent.ca.validity.notAfter), 70);
});

t.test('the written files can be loaded and can issue more certificates', async (t) => {
  const dir = t.testdir();
  const pki = await writeInitialPki(dir);
  t.same((await readdir(dir)).sort(), ['agent', 'frontend']);
  t.same((await readdir(join(dir, 'frontend'))).sort(), [
    ...['ca.crt', 'ca.key', 'client.crt', 'client.key', 'server.crt', 'server.key'],
  ]);
  t.same((await readdir(join(dir, 'agent'))).sort(), [
    ...['agent.crt', 'agent.key', 'ca.crt', 'ca.key', 'server.crt', 'server.key'],
  ]);
  const written = await read(join(dir, 'agent/agent.crt'));
  t.equal(written.fingerprint256, pki.agent.agent.certificate.fingerprint256);
  const leaf = await issueCertificate(await loadAuthority(join(dir, 'agent')), {
    kind: 'agent',
    name: 'node-2',
  });
  t.ok(isSignedBy(leaf, pki.agent.ca));
});

t.test('an existing file is an error before any key is created, unless force is set', async (t) => {
  const dir = t.testdir({ agent: { 'agent.key': 'existing' } });
  await t.rejects(writeInitialPki(dir), {
    code: 'file_exists',
    message: join(dir, 'agent/agent.key'),
  });
  t.same(await readdir(dir), ['agent']);
  t.same(await readdir(join(dir, 'agent')), ['agent.key']);
  await writeInitialPki(dir, { force: true });
  t.match(await readFile(join(dir, 'agent/agent.key'), 'utf8'), 'BEGIN PRIVATE KEY');
});

t.test('invalid names are refused before any file is written', async (t) => {
  const dir = join(t.testdir(), 'new');
  await t.rejects(writeInitialPki(dir, { ips: ['nowhere'] }), { code: 'bad_ip' });
  await t.rejects(readdir(dir), { code: 'ENOENT' });
});
