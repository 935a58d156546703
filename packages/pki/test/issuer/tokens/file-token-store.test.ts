import { chmod, chown, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeToken } from '@fairlead/pki/enrollment';
import { FileTokenStore, recordOf } from '@fairlead/pki/issuer';
import t from 'tap';
import { claimOf, grant, tokenStoreContract } from './token-store-contract.ts';

const open = (dir: string, warn = (_: string) => {}) => FileTokenStore.open(dir, warn);
t.test('the file store fulfills the contract of a token store', (t) =>
  tokenStoreContract(t, async (t) => {
    const dir = join(t.testdir(), 'tokens');
    return () => open(dir);
  }),
);

t.test('a claim of a claimed token leaves no file', async (t) => {
  const dir = join(t.testdir(), 'tokens');
  const store = await open(dir);
  const record = recordOf(makeToken(), grant, 60_000);
  await store.add(record);
  await Promise.all(['a', 'b', 'c'].map((key) => store.claim(record.id, claimOf(key))));
  t.same((await readdir(dir)).sort(), [`${record.id}.redeemed.json`, `${record.id}.token.json`]);
});

t.test('a file does not contain the secret, and only its owner can read it', async (t) => {
  const dir = join(t.testdir(), 'tokens');
  const store = await open(dir);
  const token = makeToken();
  const record = recordOf(token, grant, 60_000);
  await store.add(record);
  const [name = ''] = await readdir(dir);
  t.notMatch(await readFile(join(dir, name), 'utf8'), token.text.split('.')[1]);
  t.equal((await stat(join(dir, name))).mode & 0o777, 0o600);
  t.equal((await stat(dir)).mode & 0o777, 0o700);
});

t.test('temporary files of a crash are not read as tokens or claims', async (t) => {
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

t.test('refuses a directory that other users can write to', async (t) => {
  const dir = t.testdir({ 'a-file': '' });
  await chmod(dir, 0o770);
  await t.rejects(open(dir), {
    name: 'StartupError',
    message: /^--token-dir: .*others.*chmod go-w/,
  });
  await t.rejects(open(join(dir, 'a-file', 'x')), { name: 'StartupError' });
});

t.test('list skips a file that is not a token, and warns of it', async (t) => {
  const dir = t.testdir();
  await chmod(dir, 0o700);
  const warnings: string[] = [];
  const store = await open(dir, (text) => warnings.push(text));
  const record = recordOf(makeToken(), grant, 60_000);
  await store.add(record);
  await writeFile(join(dir, 'cut.token.json'), '{"id":');
  await mkdir(join(dir, 'odd.token.json'));
  t.same(await store.list(), [{ record, claim: undefined }]);
  t.match(warnings.sort(), [
    /^--token-dir: .*cut\.token\.json cannot be read: /,
    /^--token-dir: .*odd\.token\.json cannot be read: /,
  ]);
  await t.rejects(store.get('cut'), { name: 'TokenStoreError' }, 'one token alone is an error');
});

t.test(
  'a token that root makes belongs to the owner of the directory',
  {
    skip: process.geteuid?.() === 0 ? false : 'needs root',
  },
  async (t) => {
    const dir = t.testdir();
    await chmod(dir, 0o700);
    await chown(dir, 1234, 1235);
    const record = recordOf(makeToken(), grant, 60_000);
    const store = await open(dir);
    await store.add(record);
    await store.claim(record.id, claimOf('mine'));
    for (const name of await readdir(dir)) {
      const { uid, gid, mode } = await stat(join(dir, name));
      t.same({ uid, gid, mode: mode & 0o777 }, { uid: 1234, gid: 1235, mode: 0o600 }, name);
    }
  },
);
