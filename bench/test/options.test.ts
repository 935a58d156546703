/** A mistake in the arguments is reported before anything is measured. */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compareOptionsOrExit, fullOptionsOrExit, optionsOrExit } from '@fairlead/bench/internal';
import {
  closeAfter,
  makeTemporaryDirectory,
  RunningProcess,
  workspaceRoot,
} from '@fairlead/testkit';
import t, { type Test } from 'tap';

const directory = await makeTemporaryDirectory();
t.teardown(() => directory.close());
const programs = {
  bench: join(workspaceRoot, 'bench/dist/main.js'),
  compare: join(workspaceRoot, 'bench/dist/compare/main.js'),
  full: join(workspaceRoot, 'bench/dist/full/main.js'),
  micro: join(workspaceRoot, 'bench/dist/micro/main.js'),
};
const file = join(directory.path, 'file');
await writeFile(file, '{}\n');

const mistakes: Record<string, [keyof typeof programs, string[], RegExp]> = {
  'a --json that is a directory': ['bench', ['--json', directory.path], /--json: .*is a directory/],
  'a --json in no directory': ['bench', ['--json', '/no/such/x.json'], /--json: .*\/no\/such/],
  'the same of a comparison': [
    'compare',
    ['HEAD', '--json', '/no/such/x.json'],
    /--json: .*\/no\/such/,
  ],
  'a --report below a file': [
    'bench',
    ['--report', join(file, 'x')],
    /--report: .*not a directory/,
  ],
  'the same of a whole run': ['full', ['--report', join(file, 'x')], /--report: .*not a directory/],
  'an empty --only': ['bench', ['--only', ''], /--only: no name given/],
  'an empty --peers': ['bench', ['--peers', ''], /--peers: no name given/],
  'a --peers of commas': ['bench', ['--peers', ','], /--peers: no name given/],
  'seconds without end': ['bench', ['--seconds', '1e10'], /--seconds: 1e10: .*up to 3600/],
  'rounds without end': ['bench', ['--rounds', 'Infinity'], /--rounds: Infinity: .*up to 1000/],
  'a --node that is none': [
    'bench',
    ['--node', '/nonexist'],
    /--node: \/nonexist: not an executable file/,
  ],
  'the same of whole runs': [
    'full',
    ['--node', '/nonexist'],
    /--node: \/nonexist: not an executable file/,
  ],
  'other JSON': ['bench', ['--from', file], /--from: .*file: contains no benchmark results/],
  'no JSON': [
    'bench',
    ['--from', programs.bench],
    /--from: .*main\.js: contains no benchmark results/,
  ],
  'results that are not there': ['bench', ['--from', '/no/such.json'], /--from: .*ENOENT/],
  'peers of a comparison': ['compare', ['HEAD', '--peers', 'direct'], /--peers: .*comparison/],
  'a report of a comparison': ['compare', ['HEAD', '--report', 'x'], /--report: .*comparison/],
  'a comparison with nothing': ['compare', [], /usage: /],
  'an unknown flag of the small one': ['micro', ['--no-such'], /--no-such/],
  'a case that is not there': ['micro', ['--only', 'no such case'], /--only: /],
};

/** Each program reads its options by this function; a comparison's follow the revision. */
const readers = {
  bench: optionsOrExit,
  compare: ([, ...args]: string[]) => compareOptionsOrExit(args),
  full: fullOptionsOrExit,
};

/** How the program ends that is given these arguments, and what it prints on stderr. */
async function run(t: Test, program: keyof typeof programs, args: string[]) {
  const running = closeAfter(t, await RunningProcess.start(programs[program], args));
  const { code } = await running.exit;
  return { code, told: running.logs.map(({ msg }) => msg) };
}

/** The same in this process, for a mistake that the program's options have: a process costs more. */
function read(t: Test, program: keyof typeof readers, args: string[]) {
  const exits = t.capture(process, 'exit', (code?: number | string | null): never => {
    throw new Error(`exit code ${code}`);
  });
  const printed = t.capture(console, 'error', () => {});
  t.throws(() => readers[program](args), /^exit code /);
  return { code: exits()[0]?.args[0], told: printed().map(({ args: [line] }) => String(line)) };
}

/** One mistake of each program is made in a process, and those that no reader of options finds. */
const asProcess = [
  ...['a --json that is a directory', 'the same of a comparison', 'the same of a whole run'],
  ...['other JSON', 'no JSON', 'results that are not there', 'a comparison with nothing'],
  ...['an unknown flag of the small one', 'a case that is not there'],
];

for (const [name, [program, args, says]] of Object.entries(mistakes)) {
  t.test(`one line and exit code 2: ${name}`, async (t) => {
    const isProcess = asProcess.includes(name) || program === 'micro';
    const { code, told } = isProcess ? await run(t, program, args) : read(t, program, args);
    t.equal(code, 2);
    t.equal(told.length, 1, told.join('\n'));
    t.match(told[0], says);
  });
}

t.test('--help is no mistake', async (t) => {
  for (const [name, program] of Object.entries(programs)) {
    const args = name === 'compare' ? ['HEAD', '--help'] : ['--help'];
    const running = closeAfter(t, await RunningProcess.start(program, args));
    t.same(await running.exit, { code: 0, signal: null });
    t.match(running.stdout, /--only/);
    t.equal(/--list/.test(running.stdout), name === 'bench');
  }
});

t.test('a run that measures nothing fails', async (t) => {
  const excluded = ['--only=idle-streams', '--peers=direct', '--rounds=1'];
  const running = closeAfter(t, await RunningProcess.start(programs.bench, excluded));
  t.same(await running.exit, { code: 1, signal: null });
  t.ok(running.logs.some(({ msg }) => /^!! NOTHING was measured/.test(String(msg))));
});

t.test('a system without one of its programs is skipped, loudly', async (t) => {
  const bin = join(directory.path, 'bin');
  await mkdir(bin);
  for (const name of ['ssh', 'sshd']) {
    await writeFile(join(bin, name), '#!/bin/sh\n');
    await chmod(join(bin, name), 0o755);
  }
  const args = ['--only=echo-1', '--peers=openssh', '--rounds=1'];
  const env = { PATH: bin };
  const running = closeAfter(t, await RunningProcess.start(programs.bench, args, { env }));
  t.same(await running.exit, { code: 1, signal: null });
  const told = running.logs.map(({ msg }) => msg).join('\n');
  t.match(told, /openssh is SKIPPED/);
  t.match(told, /^bench: all systems were skipped: NOTHING was measured$/m);
});
