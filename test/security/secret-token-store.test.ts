/** Enrollment tokens in Secrets, with several issuers and a Kubernetes API that fails. */
import { stat } from 'node:fs/promises';
import { makeToken } from '@fairlead/pki/enrollment';
import { type AgentGrant, openTokenStore, recordOf } from '@fairlead/pki/issuer';
import { ApiStatus, eventually, KubernetesApi } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { loopback } from '../support/fleet.ts';
import { Installation, newRequest, runFairlead } from './enrollment-fixture.ts';

const namespace = 'fairlead';
const grant: AgentGrant = {
  agentId: 'node-1',
  hosts: [],
  ips: [loopback],
  cidrs: [],
  defaultRoute: false,
};

/** An installation whose tokens are in Secrets. */
async function start(t: Test) {
  const [site, api] = await Promise.all([Installation.make(), KubernetesApi.start()]);
  t.teardown(() => api.close());
  const kubeconfig = await api.kubeconfig();
  const storeOptions = { tokenDir: undefined, tokenNamespace: namespace, kubeconfig };
  const store = await openTokenStore(storeOptions, () => {});
  t.teardown(() => store.close());
  const token = async (lifetimeMs = 600_000, now = new Date()): Promise<string> => {
    const made = makeToken();
    await store.add(recordOf(made, grant, lifetimeMs, now));
    return made.text;
  };
  return {
    site,
    api,
    storeOptions,
    token,
    store,
    argv: ['--token-namespace', namespace, '--kubeconfig', kubeconfig],
  };
}

t.test('if two agents redeem one token at two issuers, exactly one succeeds', async (t) => {
  const { site, api, storeOptions, token } = await start(t);
  const issuers = await Promise.all([
    site.startIssuer(t, storeOptions),
    site.startIssuer(t, storeOptions),
  ]);
  // Both issuers read the unclaimed token before either writes.
  const writers: (() => void)[] = [];
  api.fault = ({ method }) => {
    if (method !== 'PUT') return undefined;
    return new Promise((resolve) => {
      writers.push(() => resolve(undefined));
      if (writers.length === 2) for (const go of writers.splice(0)) go();
    });
  };
  for (let round = 0; round < 9; round++) {
    const text = await token();
    const answers = await Promise.all(
      issuers.map(({ port }) =>
        site.ask(port, '/v1/enrol', { body: { token: text, csr: newRequest().csr } }),
      ),
    );
    t.same(answers.map(({ status, code }) => code ?? status).sort(), [200, 'token_used']);
    t.equal(api.count('PUT secret'), 2 * (round + 1), 'both issuers tried to write');
  }
});

t.test('an agent keeps its key between attempts to join', async (t) => {
  const { site, api, storeOptions, argv } = await start(t);
  const { port } = await site.startIssuer(t, storeOptions);
  const made = await runFairlead(
    ...['token', 'create', ...argv, '--ca-cert', site.path('issuer/ca.crt'), '--json'],
    ...['--agent-id', 'node-1', '--ip', loopback],
  );
  t.match(made, { code: 0, stderr: '' });
  const { token: enrollmentToken = '', id } = JSON.parse(made.stdout);
  // The first claim is written, but its answer is lost. The token is then bound to the agent's key.
  const { update } = api.secrets;
  api.secrets.update = (...given) => {
    api.secrets.update = update;
    update.apply(api.secrets, given);
    throw new ApiStatus(500, 'InternalError', 'etcdserver: request timed out');
  };
  const startAgent = (reconnectMin: number, reconnectMax = reconnectMin) =>
    site.startAgent(t, {
      ...{ enrollmentServer: { host: loopback, port }, enrollmentToken },
      ...{ reconnectMin, reconnectMax },
    });
  const first = await startAgent(2 ** 30);
  t.match(await first.log.line('cannot join'), { isFinal: false, detail: /\(unavailable\)/ });
  t.equal((await stat(site.path('identity/new.key'))).mode & 0o777, 0o600);
  await first.agent.close();
  // After a restart, the agent uses the same key. The API fails once more, and the agent retries.
  api.fault = ({ method }) => {
    api.fault = undefined;
    return method === 'GET' ? new ApiStatus(500, 'InternalError', 'no leader') : undefined;
  };
  const { log } = await startAgent(50);
  t.match(await log.line('cannot join'), { isFinal: false, detail: /\(unavailable\)/ });
  t.match(await log.line('joined'), { subject: 'CN=node-1' });
  await t.rejects(stat(site.path('identity/new.key')), { code: 'ENOENT' });
  const listed = await runFairlead('token', 'list', ...argv);
  t.match(listed.stdout, new RegExp(`^${id} +node-1 +redeemed `, 'm'));
  t.match(await runFairlead('token', 'revoke', id, ...argv), { code: 0, stdout: /^Removed / });
  t.same(api.secrets.all(namespace), []);
});

t.test('a token can be redeemed after an outage of the API', async (t) => {
  const { site, api, storeOptions, token } = await start(t);
  const text = await token();
  await api.pause();
  const { log, port } = await site.startIssuer(t, storeOptions);
  t.match(await log.line('cannot delete expired tokens'), {
    detail: `--token-namespace: fairlead: the Kubernetes API at ${api.url} cannot be reached: `,
  });
  const { csr } = newRequest();
  const ask = () => site.ask(port, '/v1/enrol', { body: { token: text, csr } });
  t.match(await ask(), { status: 503, code: 'unavailable', error: /try again/ });
  t.match(await log.line('the token store is unavailable'), { detail: /cannot be reached/ });
  await api.resume();
  t.match(await ask(), { status: 200 });
  t.match(await ask(), { status: 200 }, 'the same key is answered again');
  t.notMatch(JSON.stringify(log.lines), text.split('.')[1]);
});

t.test('a refusal of the API is reported with the flag and the cure', async (t) => {
  const { site, api, storeOptions, argv } = await start(t);
  api.fault = () => new ApiStatus(403, 'Forbidden', 'secrets is forbidden: User "x" cannot list');
  const cure = /--token-namespace: fairlead: .*403 secrets is forbidden.*; bind a Role with get, /;
  await t.rejects(site.startIssuer(t, storeOptions), {
    name: 'TokenStoreError',
    exitCode: 1,
    message: cure,
  });
  const listed = await runFairlead('token', 'list', ...argv);
  t.match(listed, { code: 1, stdout: '', stderr: cure });
  t.equal(listed.stderr.split('\n').length, 2, 'one line');
  api.fault = ({ method }) =>
    method === 'POST'
      ? new ApiStatus(404, 'NotFound', `namespaces "fairlead" not found`)
      : undefined;
  const made = await runFairlead(
    ...['token', 'create', ...argv, '--ca-cert', site.path('issuer/ca.crt'), '--agent-id', 'n'],
  );
  t.match(made, {
    code: 1,
    stdout: '',
    stderr: /namespaces "fairlead" not found; create the name/,
  });
});

t.test(
  'a Secret that is not a token does not hide the others, and the issuer starts',
  async (t) => {
    const { site, api, storeOptions, token, argv } = await start(t);
    const id = (await token()).split('.')[0]!;
    const [good] = api.secrets.all(namespace);
    const { type, data, metadata } = good!;
    const bad = {
      type,
      data,
      metadata: { name: 'fairlead-token-bad', labels: metadata.labels ?? {} },
    };
    api.secrets.create(namespace, bad);
    api.secrets.create(namespace, {
      ...bad,
      metadata: { ...bad.metadata, name: 'fairlead-token-worse' },
      data: { token: 'bm90IEpTT04=' },
    });
    const listed = await runFairlead('token', 'list', ...argv);
    t.match(listed, { code: 0, stdout: new RegExp(`^${id} +node-1 +open `, 'm') });
    t.match(listed.stderr, /^warning: .*fairlead-token-bad is not a token: .*delete it$/m);
    t.match(listed.stderr, /^warning: .*fairlead-token-worse is not a token: .*delete it$/m);
    t.equal(listed.stderr.trim().split('\n').length, 2, 'one line for each');
    const { log } = await site.startIssuer(t, storeOptions);
    await log.line('listening');
  },
);

t.test('a token that expired more than a day ago is deleted', async (t) => {
  const { site, api, storeOptions, token, store } = await start(t);
  const now = Date.now();
  const fresh = await token();
  await token(1_000, new Date(now - 2 * 86_400_000));
  const yesterday = await token(1_000, new Date(now - 3_600_000));
  const { port } = await site.startIssuer(t, storeOptions);
  await eventually('a token is deleted', () => api.count('DELETE secret') === 1);
  const left = (await store.list()).map(({ record }) => record.id);
  t.same(left.sort(), [fresh, yesterday].map((text) => text.split('.')[0]).sort());
  const body = { token: yesterday, csr: newRequest().csr };
  t.match(await site.ask(port, '/v1/enrol', { body }), { status: 401, code: 'token_expired' });
});
