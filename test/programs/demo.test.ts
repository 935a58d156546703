/** The demo of `npm start`: its output, a port in use, and that it leaves no process or file behind. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { testRunEnvironment, workspaceRoot } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { inTime } from './clients.ts';
import { loopback } from './fixture.ts';

const demo = join(workspaceRoot, 'examples/dist/main.js');
const lastLine = 'Ctrl-C ends everything.';

interface Demo {
  readonly child: ChildProcess;
  readonly lines: AsyncIterable<string>;
  readonly exit: Promise<unknown[]>;
}

function startDemo(t: Test): Demo {
  const { PATH = '', HOME = '', TMPDIR } = process.env;
  const child = spawn(process.execPath, [demo], {
    env: { PATH, HOME, TMPDIR, ...testRunEnvironment() },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => {
    child.kill('SIGKILL');
  });
  const lines = createInterface({ input: child.stdout });
  return { child, lines, exit: once(child, 'exit') };
}

/** The directory of the demo's files, from its output. */
function directoryIn(printed: string): string {
  return /\/\S*\/fairlead-\w+/.exec(printed)?.[0] ?? '';
}

/** Reads lines up to and including `last`, or to the end of the output. */
async function linesUntil(output: AsyncIterable<string>, last: string): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of output) {
    lines.push(line);
    if (line === last) break;
  }
  return lines;
}

/** Runs the demo until it waits, then ends it as Ctrl-C does. @returns what it printed */
async function checkDemo(t: Test): Promise<string> {
  const { child, lines: output, exit } = startDemo(t);
  const lines = await inTime('the demo waits for Ctrl-C', linesUntil(output, lastLine));
  const printed = lines.join('\n');
  t.equal(lines.at(-1), lastLine, 'it waits for Ctrl-C');
  t.match(printed, /server -> client +200 after/);
  t.match(printed, /GET \/pods: 200 after/);
  t.match(printed, /curl --proxy https:/);
  const pids = [...printed.matchAll(/fairlead-(?:server|agent), pid (\d+)/g)].map((match) =>
    Number(match[1]),
  );
  t.equal(pids.length, 2, 'server and agent run in their own processes');
  const directory = directoryIn(printed);
  t.ok(existsSync(directory), directory);

  child.kill('SIGINT');
  t.same(await inTime('the demo ends', exit), [0, null], 'exits with 0 after Ctrl-C');
  for (const pid of pids)
    t.throws(() => process.kill(pid, 0), { code: 'ESRCH' }, 'no process is left');
  t.notOk(existsSync(directory), 'no file is left');
  return printed;
}

t.test('sends requests, and leaves nothing behind after Ctrl-C', async (t) => {
  await checkDemo(t);
});

t.test('uses another port, and prints it, if its port is in use', async (t) => {
  const occupant = createServer();
  // An error means that another process already uses the port.
  occupant.on('error', () => {});
  occupant.listen(8090, loopback);
  await Promise.race([once(occupant, 'listening'), once(occupant, 'error')]).catch(() => {});
  t.teardown(() => {
    occupant.close();
  });
  const printed = await checkDemo(t);
  const [, other] = /port 8090 is taken, \S+ front end uses (\d+) instead/.exec(printed) ?? [];
  t.ok(other, 'it prints the other port');
  t.match(printed, `curl --proxy https://localhost:${other}`);
});

t.test('ends at once on an early Ctrl-C, and leaves nothing behind', async (t) => {
  const { child, lines, exit } = startDemo(t);
  const printed: string[] = [];
  for await (const line of lines) {
    printed.push(line);
    if (printed.length > 1) continue;
    child.kill('SIGINT');
    t.ok(existsSync(directoryIn(line)), line);
  }
  t.same(await inTime('the demo ends', exit), [0, null]);
  t.notMatch(printed.join('\n'), /failed|fairlead-agent/);
  t.notOk(existsSync(directoryIn(printed[0]!)));
});
