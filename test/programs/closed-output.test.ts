/** Output that cannot be written: `fairlead-server --help | true`, or a full disk. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { commandOf, programs, testRunEnvironment } from '@fairlead/testkit';
import t from 'tap';
import { startServer } from './fixture.ts';

const env = { PATH: process.env.PATH, ...testRunEnvironment() };

async function run(
  program: keyof typeof programs,
  args: readonly string[],
  stdout: 'pipe' | number,
): Promise<{ code: number | null; stderr: string }> {
  const [file, ...first] = commandOf(programs[program]);
  const child = spawn(file, [...first, ...args], { env, stdio: ['ignore', stdout, 'pipe'] });
  // The reader ends before the program has started to write.
  child.stdout?.destroy();
  const [stderr, [code]] = await Promise.all([text(child.stderr!), once(child, 'close')]);
  return { code: code as number | null, stderr };
}

/** What a shell reports for a program that SIGPIPE ended. */
const brokenPipe = { code: 141, stderr: '' };

const calls = [
  ['server', '--help'],
  ['server', '--version'],
  ['agent', '--help'],
  ['cli', '--help'],
  ['cli', 'status', '--help'],
  ['cli', 'issuer', '--help'],
] as const;

for (const [program, ...args] of calls) {
  t.test(`${program} ${args.join(' ')} ends silently if its reader has ended`, async (t) => {
    t.same(await run(program, args, 'pipe'), brokenPipe);
  });
}

t.test('status ends silently if its reader has ended', async (t) => {
  const { adminPort } = await startServer(t);
  const args = ['status', `--admin=http://127.0.0.1:${adminPort}`];
  t.same(await run('cli', args, 'pipe'), brokenPipe);
});

t.test('a full disk is one line on stderr', async (t) => {
  const full = openSync('/dev/full', 'w');
  t.teardown(() => closeSync(full));
  const { code, stderr } = await run('server', ['--help'], full);
  t.equal(code, 1);
  t.match(stderr, /^cannot write to stdout: .*ENOSPC.*\n$/);
});
