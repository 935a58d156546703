import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ApiClient, type ApiError, reviewToken } from '@fairlead/kubernetes';
import type { TokenOwner } from '@fairlead/testkit';
import t from 'tap';
import { namespace, start } from '../api-fixture.ts';

const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
const list = (client: ApiClient) => client.request({ method: 'GET', path });

t.test('an error of the API has the request, the status and the message', async (t) => {
  const { client } = await start(t);
  await t.rejects(client.request({ method: 'GET', path: `${path}/x` }), {
    name: 'ApiError',
    status: 404,
    reason: 'NotFound',
    message: `GET ${path}/x: 404 leases "x" not found`,
  });
});

t.test('requests fail while the API is down, and succeed after that', async (t) => {
  const { api, client } = await start(t);
  await list(client);
  await api.pause();
  const error: ApiError = (await list(client).catch((thrown: ApiError) => thrown)) as ApiError;
  t.match(error, { status: 0 });
  t.match(error.message, `the Kubernetes API at ${api.url} cannot be reached: `);
  await api.resume();
  t.match(await list(client), { items: [] });
});

t.test('a request succeeds after the API closed its idle connection', async (t) => {
  const { api, client } = await start(t);
  for (let round = 0; round < 5; round++) {
    await list(client);
    await api.pause();
    await api.resume();
  }
  t.equal(api.count('GET list'), 5);
});

t.test('rereads a replaced service account token', async (t) => {
  const { api } = await start(t);
  const directory = t.testdir({});
  const [kubeconfig, tokenFile] = [join(directory, 'config'), join(directory, 'token')];
  await writeFile(tokenFile, 'api-token');
  await writeFile(kubeconfig, JSON.stringify(api.kubeconfigFor({ tokenFile })));
  const stale: string[] = [];
  const client = new ApiClient({
    kubeconfig,
    userAgent: 'test',
    onStale: ({ message }) => stale.push(message),
  });
  t.teardown(() => client.close());
  await list(client);
  api.callers.clear();
  api.callers.add('next-token');
  await t.rejects(list(client), { name: 'ApiError', status: 401 }, 'the token is not replaced yet');
  await writeFile(tokenFile, 'next-token');
  t.match(await list(client), { items: [] });
  await rename(tokenFile, `${tokenFile}.gone`);
  api.callers.clear();
  await t.rejects(list(client), { name: 'ApiError', status: 401 });
  t.match(stale, [/token: file not found/], 'the previous token stays in use');
});

t.test('uses the credentials of a plugin', async (t) => {
  const { api } = await start(t);
  const credential = `{apiVersion: i.apiVersion, kind: i.kind, status: {token: process.argv[1]}}`;
  const script = `const i = JSON.parse(process.env.KUBERNETES_EXEC_INFO); console.log(JSON.stringify(${credential}))`;
  const client = async (token: string) => {
    const kubeconfig = join(t.testdirName, token);
    const exec = { command: process.execPath, args: ['-e', script, token] };
    await writeFile(kubeconfig, JSON.stringify(api.kubeconfigFor({ exec })));
    return new ApiClient({ kubeconfig, userAgent: 'test', onStale() {} });
  };
  t.testdir({});
  t.match(await list(await client('api-token')), { items: [] });
  await t.rejects(list(await client('other')), { name: 'ApiError', status: 401 });
});

t.test('refuses a server with a certificate of another CA', async (t) => {
  const { api } = await start(t);
  const kubeconfig = join(t.testdir({}), 'config');
  const config = JSON.stringify(api.kubeconfigFor({ token: 'secret' }));
  await writeFile(kubeconfig, config.replace(/"certificate-authority-data":"[^"]*"/, '"x":1'));
  const client = new ApiClient({ kubeconfig, userAgent: 'test', onStale() {} });
  await t.rejects(list(client), { status: 0, message: /self-signed certificate|unable to verify/ });
  t.same(api.requests, []);
});

t.test('a token review returns the user and the audiences', async (t) => {
  const { api, client } = await start(t);
  const owner: TokenOwner = {
    username: 'system:serviceaccount:kube-system:agent',
    audiences: ['servers', 'others'],
    extra: { 'authentication.kubernetes.io/node-name': ['node-1'] },
  };
  api.owners.set('good', owner);
  t.same(await reviewToken(client, 'good', 'servers'), {
    isAuthenticated: true,
    error: undefined,
    audiences: ['servers'],
    username: owner.username,
    extra: new Map([['authentication.kubernetes.io/node-name', 'node-1']]),
  });
  t.match(await reviewToken(client, 'bad', 'servers'), {
    isAuthenticated: false,
    error: '[invalid bearer token]',
  });
});
