import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import t from 'tap';
import { runCommand, runFairlead } from './run-fairlead.ts';

t.test('prints the help of fairlead and of each command to stdout', async (t) => {
  const help = { code: 0, stderr: '', stdout: /^ {2}pki +Make certificates/m };
  t.match(await runFairlead(['--help']), help, 'as a process');
  for (const argv of [['--help'], ['-h'], ['help']]) t.match(await runCommand(argv), help);
  t.match(await runCommand(['pki', '--help']), { code: 0, stdout: /^ {2}issue +Make a key/m });
  const init = await runCommand(['pki', 'init', '--help']);
  t.match(init, { code: 0, stderr: '', stdout: /^ +--ca-days DAYS/m });
  const issue = await runCommand(['pki', 'issue', '--name', 'x', '-h']);
  t.match(issue, { code: 0, stderr: '', stdout: /^ +--default-route/m });
});

t.test('prints the version of the package and the commit', async (t) => {
  const manifest = new URL('../../../../packages/cli/package.json', import.meta.url);
  const { version } = JSON.parse(await readFile(manifest, 'utf8'));
  const commit = execFileSync('git', ['rev-parse', '--short=12', 'HEAD'], { encoding: 'utf8' });
  const expected = `${version} \\(commit ${commit.trim()}(-dirty)?, node v[.0-9]+\\)`;
  const asked = [
    [[], '--version'],
    [[], 'version'],
    [['pki'], '--version'],
    [['pki', 'init'], '--version'],
  ] as const;
  for (const [command, version] of asked) {
    const { code, stdout, stderr } = await runCommand([...command, version]);
    t.same({ code, stderr }, { code: 0, stderr: '' });
    t.match(stdout, new RegExp(`^${['fairlead', ...command].join(' ')} ${expected}\n$`));
  }
});

t.test('an unknown command exits with 2 and prints the commands in one line', async (t) => {
  const line = /^fairlead: there is no command "pik"; the commands are .*\bpki\b.*\n$/;
  t.match(await runFairlead(['pik']), { code: 2, stdout: '', stderr: line }, 'as a process');
  t.match(await runCommand(['pik']), { code: 2, stdout: '', stderr: line });
  t.match((await runCommand(['pik'])).stderr, /did you mean pki\?\n$/);
  t.match((await runCommand(['pki', 'isue'])).stderr, /did you mean issue\?\n$/);
  t.notMatch((await runCommand(['somethingelse'])).stderr, /did you mean/);
  t.match(await runCommand(['--pki']), {
    code: 2,
    stderr: /^fairlead: there is no command "--pki"/,
  });
});

t.test('without a command, prints the help and exits with 2', async (t) => {
  const { code, stdout, stderr } = await runCommand([]);
  t.same({ code, stdout }, { code: 2, stdout: '' });
  t.match(stderr, /^fairlead: a command is missing\n/);
  t.match(stderr, /^Commands:$/m);
});

t.test('the help of each command has an example', async (t) => {
  const commandsOf = async (...group: string[]) => {
    const { stdout } = await runCommand([...group, '--help']);
    return [...stdout.matchAll(/^ {2}([a-z-]+) {2,}/gm)].map(([, name = '']) => [...group, name]);
  };
  const groups = ['pki', 'token'];
  const single = (await commandsOf()).filter(([name = '']) => !groups.includes(name));
  const inGroups = await Promise.all([commandsOf('pki'), commandsOf('token')]);
  t.ok(single.length > 5);
  for (const command of [...single, ...inGroups.flat()]) {
    const { stdout } = await runCommand([...command, '--help']);
    const example = new RegExp(`^Examples?:\\n  fairlead ${command.join(' ')} `, 'm');
    t.match(stdout, example, command.join(' '));
  }
});
