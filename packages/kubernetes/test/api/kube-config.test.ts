import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readClusterSettings } from '@fairlead/kubernetes/internal';
import { UsageError } from '@fairlead/runtime/process';
import t, { type Test } from 'tap';

const encode = (text: string) => Buffer.from(text).toString('base64');

function config(user: object, cluster: object = {}): object {
  return {
    'current-context': 'b',
    contexts: [
      { name: 'a', context: { cluster: 'none', user: 'none' } },
      { name: 'b', context: { cluster: 'c', user: 'u' } },
    ],
    clusters: [{ name: 'c', cluster: { server: 'https://api:6443/', ...cluster } }],
    users: [{ name: 'u', user }],
  };
}

function read(t: Test, content: object | string, files: Record<string, string> = {}) {
  const text = typeof content === 'string' ? content : JSON.stringify(content);
  const directory = t.testdir({ config: text, ...files });
  return readClusterSettings({ kubeconfig: join(directory, 'config') });
}

function complaint(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  return 'no complaint';
}

t.test('reads certificates in the kubeconfig and in files beside it', async (t) => {
  t.same(
    read(
      t,
      config(
        { 'client-certificate-data': encode('CERT'), 'client-key-data': encode('KEY') },
        { 'certificate-authority-data': encode('CA'), 'tls-server-name': 'kubernetes' },
      ),
    ),
    {
      server: 'https://api:6443',
      tls: { ca: 'CA', cert: 'CERT', key: 'KEY', servername: 'kubernetes' },
    },
  );
  const files = { 'ca.crt': 'CA', 'me.crt': 'CERT', 'me.key': 'KEY' };
  const beside = config(
    { 'client-certificate': 'me.crt', 'client-key': 'me.key' },
    { 'certificate-authority': 'ca.crt' },
  );
  t.same(read(t, beside, files).tls, { ca: 'CA', cert: 'CERT', key: 'KEY' });
});

t.test('reads tokens, and user names with passwords', async (t) => {
  t.equal(read(t, config({ token: 'abc' })).authorization, 'Bearer abc');
  const directory = t.testdir({ token: 'from-file\n' });
  const tokenFile = join(directory, 'token');
  const path = join(directory, 'config');
  writeFileSync(path, JSON.stringify(config({ token: 'abc', tokenFile })));
  const { authorization } = readClusterSettings({ kubeconfig: path });
  t.equal(authorization, 'Bearer from-file', 'the file has precedence, as in kubectl');
  const basic = read(t, config({ username: 'me', password: 'x' })).authorization;
  t.equal(basic, `Basic ${encode('me:x')}`);
});

t.test('an invalid kubeconfig is reported with its position and cure', async (t) => {
  const bad: [object | string, RegExp][] = [
    ['', /^--kubeconfig: .*config:1: .*/],
    ['a: [', /^--kubeconfig: .*config:1: /],
    [{ ...config({}), 'current-context': '' }, /current-context: is empty$/],
    [
      { ...config({}), 'current-context': 'x' },
      /context "x" not found; current-context refers to it/,
    ],
    [{ ...config({}), 'current-context': 'a' }, /cluster "none" not found/],
    [{ ...config({}), users: [] }, /user "u" not found/],
    [config({}, { server: 'api:6443' }), /clusters\.0\.cluster\.server: is not an https:\/\/ URL$/],
    [config({}, { 'proxy-url': 'http://p' }), /proxy-url: is not supported/],
    [
      config({ 'auth-provider': { name: 'gcp', config: {} } }),
      /auth-provider\.name: is not supported/,
    ],
    [config({}, { 'certificate-authority': 'gone' }), /^--kubeconfig: .*gone: file not found/],
  ];
  for (const [content, expected] of bad)
    t.match(
      complaint(() => read(t, content)),
      expected,
    );
  t.match(
    complaint(() => readClusterSettings({ kubeconfig: '/nowhere' })),
    '--kubeconfig: /nowhere: file not found',
  );
});

t.test('uses the service account of a pod, and fails outside of a pod', async (t) => {
  t.match(
    complaint(() => readClusterSettings({ env: {} })),
    /^--kubeconfig is missing, and this/,
  );
  const serviceAccountDirectory = t.testdir({ 'ca.crt': 'CA', token: 'pod-token' });
  const env = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };
  t.same(readClusterSettings({ env, serviceAccountDirectory }), {
    server: 'https://[fd00::1]:443',
    tls: { ca: 'CA' },
    authorization: 'Bearer pod-token',
  });
  t.match(
    complaint(() => readClusterSettings({ env, serviceAccountDirectory: '/nowhere' })),
    /^service account of this pod: \/nowhere\/ca\.crt: file not found/,
  );
});
