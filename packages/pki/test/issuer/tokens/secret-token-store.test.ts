import { makeToken } from '@fairlead/pki/enrollment';
import { openTokenStore, recordOf, type TokenStore } from '@fairlead/pki/issuer';
import { ApiStatus, KubernetesApi } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { claimOf, grant, tokenStoreContract } from './token-store-contract.ts';

const namespace = 'fairlead';

/** Starts an API and returns a function that opens stores. All are closed after the test. */
async function start(t: Test) {
  const api = await KubernetesApi.start();
  t.teardown(() => api.close());
  const kubeconfig = await api.kubeconfig();
  const open = async (): Promise<TokenStore> => {
    const options = { tokenDir: undefined, tokenNamespace: namespace, kubeconfig };
    const store = await openTokenStore(options, () => {});
    t.teardown(() => store.close());
    return store;
  };
  return { api, open };
}

/** Starts a store with one token. */
async function startWithToken(t: Test) {
  const { api, open } = await start(t);
  const [store, token] = [await open(), makeToken()];
  const record = recordOf(token, grant, 60_000);
  await store.add(record);
  return { api, open, store, token, record, name: `fairlead-token-${token.id}` };
}

t.test('the Secret store fulfills the contract of a token store', (t) =>
  tokenStoreContract(t, async (t) => (await start(t)).open),
);

t.test("each token is one Secret, which does not contain the token's secret", async (t) => {
  const { api, token, record, name } = await startWithToken(t);
  const [secret] = api.secrets.all(namespace, 'fairlead/kind=enrolment-token');
  t.match(secret, { type: 'fairlead/enrolment-token', metadata: { name } });
  const stored = Buffer.from(secret?.data.token ?? '', 'base64').toString();
  t.same(JSON.parse(stored), record);
  t.notMatch(stored, token.text.split('.')[1]);
});

t.test('after a conflict, a claim reads the Secret again and keeps its other fields', async (t) => {
  const { api, store, record, name } = await startWithToken(t);
  // Before the first PUT, another client changes the Secret without a claim.
  let writes = 0;
  api.fault = ({ method }) => {
    if (method === 'PUT' && writes++ === 0) {
      const { metadata, data } = api.secrets.get(namespace, name);
      api.secrets.update(namespace, name, { metadata, data: { ...data, note: '' } });
    }
    return undefined;
  };
  t.match(await store.claim(record.id, claimOf('mine')), { keyHash: 'mine' });
  t.equal(api.count('PUT secret'), 2);
  t.ok('note' in api.secrets.get(namespace, name).data, "the other client's field is kept");
});

t.test('a claim whose answer was lost succeeds if it is repeated', async (t) => {
  const { api, store, record } = await startWithToken(t);
  const { update } = api.secrets;
  let isLost = true;
  api.secrets.update = (...given) => {
    update.apply(api.secrets, given);
    if (isLost) throw new ApiStatus(500, 'InternalError', 'etcdserver: request timed out');
    return api.secrets.get(namespace, given[1]);
  };
  await t.rejects(store.claim(record.id, claimOf('mine')), {
    name: 'TokenStoreError',
    mayPass: true,
    message: /timed out/,
  });
  isLost = false;
  t.match(await store.claim(record.id, claimOf('mine')), { keyHash: 'mine' });
  t.match(await store.claim(record.id, claimOf('other')), { keyHash: 'mine' });
});

t.test('a claim gives up after six conflicts', async (t) => {
  const { api, store, record } = await startWithToken(t);
  api.fault = ({ method }) =>
    method === 'PUT' ? new ApiStatus(409, 'Conflict', 'modified') : undefined;
  await t.rejects(store.claim(record.id, claimOf('x')), { mayPass: true, message: /409 modified/ });
  t.equal(api.count('PUT secret'), 6);
});

t.test(
  'the error of an API that is down has its address, and the next claim succeeds',
  async (t) => {
    const { api, store, record } = await startWithToken(t);
    await api.pause();
    await t.rejects(store.claim(record.id, claimOf('a')), {
      name: 'TokenStoreError',
      mayPass: true,
      message: `--token-namespace: fairlead: the Kubernetes API at ${api.url} cannot be reached: `,
    });
    await api.resume();
    t.match(
      await store.claim(record.id, claimOf('b')),
      { keyHash: 'b' },
      'the failed claim did not claim the token',
    );
  },
);

t.test('the error of a refusal has the reason and the cure', async (t) => {
  const { api, store, record } = await startWithToken(t);
  const refusals: [ApiStatus, RegExp][] = [
    [
      new ApiStatus(403, 'Forbidden', 'secrets is forbidden: User "x" cannot create'),
      /^--token-namespace: fairlead: POST .*: 403 secrets is forbidden: .*; bind a Role with get, list, create, update and delete for secrets/,
    ],
    [new ApiStatus(401, 'Unauthorized', 'Unauthorized'), /; give a --kubeconfig whose credentials/],
    [
      new ApiStatus(404, 'NotFound', 'namespaces "fairlead" not found'),
      /: 404 namespaces "fairlead" not found; create the namespace/,
    ],
  ];
  for (const [status, message] of refusals) {
    api.fault = () => status;
    await t.rejects(store.add(record), {
      name: 'TokenStoreError',
      mayPass: false,
      message,
    });
  }
});

t.test('the error for a Secret that is not a token names it', async (t) => {
  const { api, store, record, name } = await startWithToken(t);
  const { data } = api.secrets.get(namespace, name);
  const create = (id: string, type: string, given: Record<string, string>) =>
    api.secrets.create(namespace, {
      metadata: { name: `fairlead-token-${id}` },
      type,
      data: given,
    });
  create('other', 'Opaque', data);
  create('copy', 'fairlead/enrolment-token', data);
  create('empty', 'fairlead/enrolment-token', {});
  for (const [id, what] of [
    ['other', 'its type is "Opaque"'],
    ['copy', `it contains the token ${record.id}`],
    ['empty', ''],
  ] as const) {
    const message = `the Secret fairlead/fairlead-token-${id} is not a token: ${what}`;
    await t.rejects(store.claim(id, claimOf('x')), { name: 'TokenStoreError', message });
  }
});

t.test('a list that the API returns in several pages is complete', async (t) => {
  const { api, store, record } = await startWithToken(t);
  for (let index = 0; index < 1_000; index++) {
    const id = `t${index}`;
    const token = Buffer.from(JSON.stringify({ ...record, id })).toString('base64');
    api.secrets.create(namespace, {
      metadata: { name: `fairlead-token-${id}`, labels: { 'fairlead/kind': 'enrolment-token' } },
      type: 'fairlead/enrolment-token',
      data: { token },
    });
  }
  t.equal((await store.list()).length, 1_001);
  t.equal(api.count('GET secrets'), 3);
});
