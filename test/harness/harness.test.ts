import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '@fairlead/testkit/eventually';
import t, { type Test } from 'tap';
import { selectFiles } from './find-files.ts';
import { root } from './run-file.ts';

// Most of them wait for processes.
t.jobs = 4;

/** A harness in a process of its own. */
interface Driven {
  readonly child: ChildProcess;
  readonly exit: Promise<unknown[]>;
  output(): string;
  /** The processes that the fixtures have started so far and left alone. */
  stayers(): number[];
}

/** Starts the harness with these fixtures. */
function drive(t: Test, names: readonly string[], env: NodeJS.ProcessEnv = {}): Driven {
  const directory = mkdtempSync(join(tmpdir(), 'harness-'));
  const stayersFile = join(directory, 'stayers');
  const driver = join(root, 'build/test/harness/fixtures/drive.js');
  const child = spawn(process.execPath, [driver, ...names], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, STAYERS: stayersFile, TMPDIR: directory, ...env },
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const exit = once(child, 'close');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await exit;
    rmSync(directory, { recursive: true, maxRetries: 10 });
  });
  return {
    child,
    exit,
    output: () => output,
    stayers: () =>
      existsSync(stayersFile)
        ? readFileSync(stayersFile, 'utf8').trim().split('\n').map(Number)
        : [],
  };
}

/** Runs the harness with these fixtures to its end. */
async function run(t: Test, names: readonly string[], env?: NodeJS.ProcessEnv) {
  const driven = drive(t, names, env);
  const [code] = await driven.exit;
  const output = driven.output();
  t.equal(code, / [1-9]\d* failed/.test(output) ? 1 : 0, 'the exit code follows from the counts');
  return { output, stayers: driven.stayers() };
}

async function checkDead(t: Test, pids: readonly number[]): Promise<void> {
  t.not(pids.length, 0);
  await eventually('the processes are gone', () => !pids.some(isAlive));
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

t.test('a file that passes is one line, and skips are listed with their reasons', async (t) => {
  const { output } = await run(t, ['passes']);
  t.match(output, /^ok {2} +\d+\.\d s {2}test\/harness\/fixtures\/passes\.ts \(2, 1 skipped\)$/m);
  t.match(output, /^ {2}test\/harness\/fixtures\/passes\.ts: not here: no reason$/m);
  t.match(output, /\n2 passed, 0 failed, 1 skipped\n$/);
});

t.test('failures come again at the end, with their place, output and command', async (t) => {
  const { output } = await run(t, ['passes', 'fails']);
  t.match(
    output,
    /^FAIL +\d+\.\d s {2}test\/harness\/fixtures\/fails\.ts \(2 failed, 0 passed\)$/m,
  );
  const [, end = ''] = output.split('== Failures');
  t.match(end, /not ok: sums > one and one\n {6}at test\/harness\/fixtures\/fails\.ts:5\n/);
  t.match(end, /not ok: throws > boom/);
  t.match(end, /output:\n {6}a word on stderr/);
  t.match(end, /\n {2}npm test -- test\/harness\/fixtures\/fails\.ts\n/);
  t.match(output, /\n2 passed, 2 failed, 1 skipped\n$/);
});

t.test('a file without an assertion fails', async (t) => {
  const { output } = await run(t, ['asserts-nothing']);
  t.match(output, /not ok: the file ran no assertion/);
});

t.test('a file that leaves temporary files fails', async (t) => {
  const { output } = await run(t, ['leaves-a-file']);
  t.match(output, /not ok: temporary files were left behind\n {6}forgotten\n/);
});

t.test('processes that a file leaves are listed and ended', async (t) => {
  const { output, stayers } = await run(t, ['leaves-processes']);
  t.equal(stayers.length, 2);
  // The second is in a group of its own: only /proc can tell whose it is.
  const found = existsSync('/proc') ? stayers : stayers.slice(0, 1);
  for (const pid of found) {
    t.match(output, new RegExp(`not ok: processes were left behind[^]*pid ${pid}: .*stayer`));
  }
  await checkDead(t, found);
});

t.test('a file that crashes fails, and its processes end with it', async (t) => {
  const { output, stayers } = await run(t, ['crashes']);
  t.match(output, /not ok: the file's process was ended by SIGKILL/);
  await checkDead(t, stayers);
});

t.test('a file that hangs is ended at its limit, with its processes', async (t) => {
  for (const limitS of [3, 30, 300]) {
    const { output, stayers } = await run(t, ['hangs'], { TIMEOUT_S: String(limitS) });
    t.match(output, new RegExp(`not ok: the file took longer than ${limitS} s`));
    // On a busy machine, the file may not have come as far as to start its process.
    if (stayers.length === 0) continue;
    await checkDead(t, stayers);
    return;
  }
  t.fail('the file did not start its process within any limit');
});

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  t.test(`${signal} ends the run and all of its processes`, async (t) => {
    const { child, exit, output, stayers } = drive(t, ['hangs']);
    await eventually('the file has started a process', () => stayers().length > 0);
    child.kill(signal);
    t.strictSame(await exit, [code, null]);
    t.match(output(), new RegExp(`ended by ${signal}[^]* 1 failed\\n$`));
    await checkDead(t, stayers());
  });
}

t.test('SIGKILL of the harness ends all of its processes too', async (t) => {
  const { child, exit, stayers } = drive(t, ['hangs']);
  await eventually('the file has started a process', () => stayers().length > 0);
  child.kill('SIGKILL');
  await exit;
  await checkDead(t, stayers());
});

t.test('paths choose files of any suite, and suites restrict them', async (t) => {
  const file = 'test/harness/harness.test.ts';
  t.strictSame([...selectFiles(root, [], ['test/harness'])], [['main', [file]]]);
  t.strictSame(
    [...selectFiles(root, [], ['build/test/harness/harness.test.js'])],
    [['main', [file]]],
  );
  t.strictSame([...selectFiles(root, ['ha', 'security'], []).keys()], ['ha', 'security']);
  t.strictSame([...selectFiles(root, [], []).keys()], ['main']);
  const programs = selectFiles(root, [], ['test/programs']);
  t.strictSame([...programs.keys()], ['programs'], 'a file of two suites runs once');
  t.throws(() => selectFiles(root, [], ['test/nothing']), {
    message: 'test/nothing: no test file there',
  });
  t.throws(() => selectFiles(root, ['ha'], ['test/security']), { message: /^test\/security: no/ });
});
