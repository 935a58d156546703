import { chmod, readdir, readFile, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type PemFile, pemPair, writePemFiles } from '@fairlead/pki';
import t from 'tap';

const pair = (dir: string, name: string, text = 'new'): PemFile[] =>
  pemPair(dir, name, { certPem: `${text} cert`, keyPem: `${text} key` });

const modeOf = async (path: string): Promise<string> =>
  ((await stat(path)).mode & 0o777).toString(8);

t.test('certificates have mode 644 and keys have mode 600, with any umask', async (t) => {
  const before = process.umask(0o077);
  t.teardown(() => process.umask(before));
  const dir = join(t.testdir(), 'a', 'b');
  await writePemFiles(pair(dir, 'n'));
  t.equal(await readFile(join(dir, 'n.crt'), 'utf8'), 'new cert');
  t.equal(await readFile(join(dir, 'n.key'), 'utf8'), 'new key');
  t.equal(await modeOf(join(dir, 'n.crt')), '644');
  t.equal(await modeOf(join(dir, 'n.key')), '600');
  process.umask(0);
  await writePemFiles(pair(join(dir, 'c'), 'n'));
  t.equal(await modeOf(join(dir, 'c')), '700');
  t.equal(await modeOf(join(dir, 'c', 'n.key')), '600');
});

t.test('writes no file if one of them exists', async (t) => {
  const dir = t.testdir({ 'b.key': 'existing' });
  const files = [...pair(dir, 'a'), ...pair(dir, 'b')];
  await t.rejects(writePemFiles(files), { code: 'file_exists', message: join(dir, 'b.key') });
  t.same(await readdir(dir), ['b.key']);
  t.equal(await readFile(join(dir, 'b.key'), 'utf8'), 'existing');
});

t.test('a dangling link counts as an existing file', async (t) => {
  const dir = t.testdir({});
  await symlink(join(dir, 'elsewhere'), join(dir, 'a.key'));
  await t.rejects(writePemFiles(pair(dir, 'a')), { code: 'file_exists' });
  t.same(await readdir(dir), ['a.key']);
});

t.test('keeps a file that is created during the write, and removes its own files', async (t) => {
  const dir = t.testdir({});
  // The same path twice: it does not exist during the check, but exists when the second file is written.
  const files = [...pair(dir, 'a', 'first'), ...pair(dir, 'a', 'second')];
  await t.rejects(writePemFiles(files), { code: 'file_exists', message: join(dir, 'a.crt') });
  t.same(await readdir(dir), []);
});

t.test('force replaces files and their modes, and leaves no temporary files', async (t) => {
  const dir = t.testdir({ 'a.key': 'old' });
  await chmod(join(dir, 'a.key'), 0o644);
  await writePemFiles(pair(dir, 'a'), { force: true });
  t.equal(await readFile(join(dir, 'a.key'), 'utf8'), 'new key');
  t.equal(await modeOf(join(dir, 'a.key')), '600');
  t.same((await readdir(dir)).sort(), ['a.crt', 'a.key']);
});

t.test('force replaces a symbolic link and not its target', async (t) => {
  const dir = t.testdir({ elsewhere: 'existing' });
  await symlink(join(dir, 'elsewhere'), join(dir, 'a.key'));
  await writePemFiles(pair(dir, 'a'), { force: true });
  t.equal(await readFile(join(dir, 'elsewhere'), 'utf8'), 'existing');
  t.equal(await readFile(join(dir, 'a.key'), 'utf8'), 'new key');
});

t.test('a failure with force leaves no temporary files', async (t) => {
  const dir = t.testdir({ 'a.crt': { 'not-a-file': '' } });
  await t.rejects(writePemFiles(pair(dir, 'a'), { force: true }), { code: 'EISDIR' });
  t.same(await readdir(dir), ['a.crt']);
});

t.test('reports the error of the file system if a directory cannot be created', async (t) => {
  const dir = t.testdir({ file: '' });
  await t.rejects(writePemFiles(pair(join(dir, 'file'), 'a')), { code: 'EEXIST' });
  await t.rejects(writePemFiles(pair(join(dir, 'file', 'sub'), 'a')), { code: 'ENOTDIR' });
});
