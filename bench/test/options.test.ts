/** The bench programs report invalid arguments before they measure anything. */
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

const invalid: Record<string, [keyof typeof programs, string[], RegExp]> = {
  'a --json that is a directory': ['bench', ['--json', directory.path], /--json: .*is a directory/],
  'a --json in a directory that does not exist': [
    'bench',
    ['--json', '/no/such/x.json'],
    /--json: .*\/no\/such/,
  ],
  'a comparison with a --json in a directory that does not exist': [
    'compare',
    ['HEAD', '--json', '/no/such/x.json'],
    /--json: .*\/no\/such/,
  ],
  'a --report below a file': [
    'bench',
    ['--report', join(file, 'x')],
    /--report: .*not a directory/,
  ],
  'a full run with a --report below a file': [
    'full',
    ['--report', join(file, 'x')],
    /--report: .*not a directory/,
  ],
  'an empty --only': ['bench', ['--only', ''], /--only: no name given/],
  'an empty --peers': ['bench', ['--peers', ''], /--peers: no name given/],
  'a --peers of commas': ['bench', ['--peers', ','], /--peers: no name given/],
  'too many --seconds': ['bench', ['--seconds', '1e10'], /--seconds: 1e10: .*up to 3600/],
  'infinite --rounds': ['bench', ['--rounds', 'Infinity'], /--rounds: Infinity: .*up to 1000/],
  'a --node that is not a program': [
    'bench',
    ['--node', '/nonexist'],
    /--node: \/nonexist: not an executable file/,
  ],
  'a full run with a --node that is not a program': [
    'full',
    ['--node', '/nonexist'],
    /--node: \/nonexist: not an executable file/,
  ],
  'a --from that has other JSON': [
    'bench',
    ['--from', file],
    /--from: .*file: contains no benchmark results/,
  ],
  'a --from that is not JSON': [
    'bench',
    ['--from', programs.bench],
    /--from: .*main\.js: contains no benchmark results/,
  ],
  'a --from that does not exist': ['bench', ['--from', '/no/such.json'], /--from: .*ENOENT/],
  'a comparison with --peers': ['compare', ['HEAD', '--peers', 'direct'], /--peers: .*comparison/],
  'a comparison with --report': ['compare', ['HEAD', '--report', 'x'], /--report: .*comparison/],
  'a comparison without a revision': ['compare', [], /usage: /],
  'an unknown flag of the micro benchmarks': ['micro', ['--no-such'], /--no-such/],
  'a micro benchmark that does not exist': ['micro', ['--only', 'no such case'], /--only: /],
};

/** The function that reads each program's options. A comparison's options follow the revision. */
const readers = {
  bench: optionsOrExit,
  compare: ([, ...args]: string[]) => compareOptionsOrExit(args),
  full: fullOptionsOrExit,
};

/** Runs the program: its exit code and its lines on stderr. */
async function run(t: Test, program: keyof typeof programs, args: string[]) {
  const running = closeAfter(t, await RunningProcess.start(programs[program], args));
  const { code } = await running.exit;
  return { code, lines: running.logs.map(({ msg }) => msg) };
}

/** Reads the options in this process, which is faster than starting the program. */
function read(t: Test, program: keyof typeof readers, args: string[]) {
  const exits = t.capture(process, 'exit', (code?: number | string | null): never => {
    throw new Error(`exit code ${code}`);
  });
  const printed = t.capture(console, 'error', () => {});
  t.throws(() => readers[program](args), /^exit code /);
  return { code: exits()[0]?.args[0], lines: printed().map(({ args: [line] }) => String(line)) };
}

/** Cases that need the real program: one for each program, and those that its option reader does not detect. */
const asProcess = [
  'a --json that is a directory',
  'a comparison with a --json in a directory that does not exist',
  'a full run with a --report below a file',
  'a --from that has other JSON',
  'a --from that is not JSON',
  'a --from that does not exist',
  'a comparison without a revision',
  'an unknown flag of the micro benchmarks',
  'a micro benchmark that does not exist',
];

for (const [name, [program, args, message]] of Object.entries(invalid)) {
  t.test(`prints one line and exits with 2: ${name}`, async (t) => {
    const isProcess = asProcess.includes(name) || program === 'micro';
    const { code, lines } = isProcess ? await run(t, program, args) : read(t, program, args);
    t.equal(code, 2);
    t.equal(lines.length, 1, lines.join('\n'));
    t.match(lines[0], message);
  });
}

t.test('--help prints the flags and exits with 0', async (t) => {
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

t.test('a system is skipped with a message if one of its programs is missing', async (t) => {
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
  const output = running.logs.map(({ msg }) => msg).join('\n');
  t.match(output, /openssh is SKIPPED/);
  t.match(output, /^bench: all systems were skipped: NOTHING was measured$/m);
});
