import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeToken } from '@fairlead/enrolment';
import { FileTokenStore, isExpired, recordOf, type TokenClaim } from '@fairlead/issuer';
import t from 'tap';

const grant = { agentId: 'n', hosts: ['h'], ips: [], cidrs: [], defaultRoute: false };
const open = (dir: string) => FileTokenStore.open(dir, '--token-dir');
const claimOf = (keyHash: string): TokenClaim => ({
  keyHash,
  claimedAt: new Date().toISOString(),
  address: '192.0.2.1:1',
});

t.test('a token is kept without its secret, for its owner alone', async (t) => {
  const dir = join(t.testdir(), 'tokens');
  const store = await open(dir);
  const token = makeToken();
  const record = recordOf(token, grant, 60_000);
  await store.add(record);
  const [name = ''] = await readdir(dir);
  t.notMatch(await readFile(join(dir, name), 'utf8'), token.text.split('.')[1]);
  t.equal((await stat(join(dir, name))).mode & 0o777, 0o600);
  t.equal((await stat(dir)).mode & 0o777, 0o700);
  t.same(await store.get(token.id), { record, claim: undefined });
  t.same(await (await open(dir)).list(), [{ record, claim: undefined }], 'for another process too');
  await t.rejects(store.add(record), /there is a token/);
  t.notOk(isExpired(record));
  t.ok(isExpired(record, new Date(Date.now() + 60_001)));
});

t.test('of all that claim a token, through several stores, one has it', async (t) => {
  const dir = t.testdir();
  await chmod(dir, 0o700);
  const stores = await Promise.all([open(dir), open(dir), open(dir)]);
  for (let round = 0; round < 10; round++) {
    const { id, ...rest } = recordOf(makeToken(), grant, 60_000);
    await stores[0]!.add({ id, ...rest });
    const claims = await Promise.all(
      Array.from({ length: 9 }, (_, index) => stores[index % 3]!.claim(id, claimOf(`${index}`))),
    );
    t.equal(new Set(claims.map((claim) => claim?.keyHash)).size, 1, 'all are told of the same one');
    t.same((await stores[1]!.get(id))?.claim, claims[0]);
  }
  const leftOver = (await readdir(dir)).filter((name) => name.endsWith('.new'));
  t.same(leftOver, []);
});

t.test('what a crash has left behind is no token and no claim', async (t) => {
  const dir = t.testdir();
  await chmod(dir, 0o700);
  const store = await open(dir);
  const record = recordOf(makeToken(), grant, 60_000);
  await store.add(record);
  await writeFile(join(dir, `${record.id}.redeemed.json.0123.new`), '{"keyHash":"x"');
  await writeFile(join(dir, 'abc.token.json.0123.new'), '');
  t.same(await store.list(), [{ record, claim: undefined }]);
  const claim = claimOf('mine');
  t.same(await store.claim(record.id, claim), claim);
});

t.test('a token that was removed lets nobody in', async (t) => {
  const dir = t.testdir();
  await chmod(dir, 0o700);
  const store = await open(dir);
  const record = recordOf(makeToken(), grant, 60_000);
  await store.add(record);
  await store.claim(record.id, claimOf('first'));
  t.equal(await store.remove(record.id), true);
  t.equal(await store.remove(record.id), false);
  t.equal(await store.get(record.id), undefined);
  t.equal(await store.claim(record.id, claimOf('late')), undefined);
});

t.test('a directory in which others may write is not used', async (t) => {
  const dir = t.testdir({ 'a-file': '' });
  await chmod(dir, 0o770);
  await t.rejects(open(dir), {
    name: 'StartupError',
    message: /^--token-dir: .*others.*chmod go-w/,
  });
  await t.rejects(open(join(dir, 'a-file', 'x')), { name: 'StartupError' });
});
