import { once } from 'node:events';
import { existsSync, readFileSync, renameSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { eventually } from '@fairlead/testkit/eventually';
import t from 'tap';
import { SampleProcess } from './sample-process.ts';

t.test('SIGTERM drains and exits with 0, also after SIGHUP', async (t) => {
  const args = ['--pin=hunter2', '--vmodule=x=4', '-v=4'];
  const program = new SampleProcess(t, 'sample-program', args);
  t.match(await program.log('listening'), { listener: 'sample', address: '127.0.0.1' });
  program.child.kill('SIGHUP');
  program.child.kill('SIGTERM');
  t.equal(await program.exit(), 0);
  const logs = program.logs();
  t.match(
    logs.filter(({ level }) => level === 'warn'),
    [{ msg: '--vmodule has no effect: --log-level applies to the whole process' }],
    'warnings of the command line are logged',
  );
  t.strictSame(
    logs.filter(({ level }) => level !== 'warn').map(({ msg }) => msg),
    ['starting', 'listening', 'draining', 'stopped'],
  );
  t.match(logs[0], { version: '1.2.3', options: { act: 'serve', pin: '[redacted]' } });
  t.notMatch(program.lines.join(), /hunter2/);
  t.equal(await program.stdout, '', 'logs go to stderr');
});

t.test('a second signal ends the process at once with 1', async (t) => {
  const program = new SampleProcess(t, 'sample-program', ['--act=hang-drain']);
  await program.log('listening');
  program.child.kill('SIGTERM');
  await program.log('draining');
  program.child.kill('SIGINT');
  t.equal(await program.exit(), 1);
  t.match(program.logs().at(-1), { msg: 'ending now, open streams are cut off', signal: 'SIGINT' });
});

const full = '/dev/full';
t.test(
  'a log file that cannot be written does not delay the exit',
  { skip: !existsSync(full) && `this machine has no ${full}` },
  async (t) => {
    const cases: readonly [string, readonly NodeJS.Signals[], number][] = [
      ['serve', ['SIGTERM'], 0],
      ['hang-drain', ['SIGTERM', 'SIGINT'], 1],
      ['throw-later', [], 1],
    ];
    for (const [act, signals, code] of cases) {
      const args = ['--logtostderr=false', `--log-file=${full}`, `--act=${act}`];
      const program = new SampleProcess(t, 'sample-program', args);
      await program.line(`--log-file ${full}: ENOSPC`);
      for (const signal of signals) program.child.kill(signal);
      t.equal(await program.exit(), code, act);
    }
  },
);

t.test('a usage error is one line on stderr and exits with 2', async (t) => {
  const program = new SampleProcess(t, 'sample-program', ['--prot=1']);
  t.equal(await program.exit(), 2);
  t.strictSame(program.lines, ['sample-program: unknown flag --prot: did you mean --port?']);
});

t.test('a startup error is one line on stderr and exits with 1', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  t.teardown(() => taken.close());
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  const program = new SampleProcess(t, 'sample-program', [`--port=${port}`, '--log-level=error']);
  t.equal(await program.exit(), 1);
  t.strictSame(program.lines, [
    `sample-program: --port: cannot listen on 127.0.0.1:${port}: another process uses it. Choose another port or stop that process`,
  ]);
});

t.test('an unexpected error at startup prints its stack and exits with 1', async (t) => {
  const program = new SampleProcess(t, 'sample-program', ['--act=bug']);
  t.equal(await program.exit(), 1);
  t.match(program.lines.join('\n'), /sample-program: internal error: TypeError: a bug\n +at /);
});

t.test('an uncaught exception is logged as fatal and exits with 1', async (t) => {
  const cases: readonly [string, object][] = [
    ['throw-later', { origin: 'uncaughtException', err: { message: 'thrown later' } }],
    ['reject-later', { origin: 'unhandledRejection', err: { message: 'rejected later' } }],
    ['end', { origin: 'ended', err: { message: 'ended by itself' } }],
  ];
  for (const [act, expected] of cases) {
    const program = new SampleProcess(t, 'sample-program', [`--act=${act}`]);
    t.equal(await program.exit(), 1, act);
    t.match(program.logs().at(-1), { level: 'fatal', ...expected }, act);
  }
});

t.test('a failed drain exits with 1', async (t) => {
  const program = new SampleProcess(t, 'sample-program', ['--act=reject-drain']);
  await program.log('listening');
  program.child.kill('SIGTERM');
  t.equal(await program.exit(), 1);
  t.match(program.logs().at(-1), { level: 'fatal', err: { message: 'cannot drain' } });
});

t.test('--help and --version print to stdout and exit with 0', async (t) => {
  const help = new SampleProcess(t, 'sample-program', ['--help', '--nonsense']);
  t.equal(await help.exit(), 0);
  t.match(await help.stdout, 'Usage: sample-program [flags]');
  const version = new SampleProcess(t, 'sample-program', ['--version']);
  t.equal(await version.exit(), 0);
  t.equal(await version.stdout, 'sample-program 1.2.3\n');
});

t.test('--log-file is flushed at exit and reopened by SIGHUP', async (t) => {
  const dir = t.testdir();
  const path = join(dir, 'a.log');
  const argv = ['--logtostderr=false', `--log-file=${path}`];
  const program = new SampleProcess(t, 'sample-program', argv);
  await eventually(
    'the log file says listening',
    () => existsSync(path) && readFileSync(path, 'utf8').includes('listening'),
  );
  renameSync(path, join(dir, 'a.log.1'));
  program.child.kill('SIGHUP');
  await eventually('a new log file', () => existsSync(path));
  program.child.kill('SIGINT');
  t.equal(await program.exit(), 0);
  t.match(readFileSync(join(dir, 'a.log.1'), 'utf8'), /"msg":"starting"/);
  t.match(readFileSync(path, 'utf8'), /"msg":"draining"[\s\S]*"msg":"stopped"\}\n$/);
  t.strictSame(program.lines, [], 'nothing on stderr');
});

t.test('a --log-file that cannot be opened is one line and exits with 2', async (t) => {
  const argv = ['--logtostderr=false', '--log-file=/no/such/dir/a.log'];
  const program = new SampleProcess(t, 'sample-program', argv);
  t.equal(await program.exit(), 2);
  t.strictSame(program.lines, [
    'sample-program: --log-file: /no/such/dir/a.log: cannot write it: ENOENT. Use a file in a directory that this user can write to',
  ]);
});

t.test('a command prints its result to stdout, and errors and warnings to stderr', async (t) => {
  const run = async (...argv: string[]) => {
    const command = new SampleProcess(t, 'sample-command', argv);
    return { code: await command.exit(), stdout: await command.stdout, stderr: command.lines };
  };
  t.strictSame(await run('you', '--polite'), {
    code: 0,
    stdout: 'hello you\n',
    stderr: ['sample command: warning: --polite has no effect: it always is'],
  });
  t.strictSame(await run('you', '--fail'), {
    code: 1,
    stdout: '',
    stderr: ['sample command: it failed because of --fail; remove --fail'],
  });
  t.match(await run(), { code: 2, stderr: [/an argument is missing/] });
  t.match(await run('--version'), { code: 0, stdout: 'sample command 1.2.3\n' });
});
