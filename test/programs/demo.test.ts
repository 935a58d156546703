/** `npm start`: a demo that does not show a request, trips over a port, or leaves something behind. */
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

/** Where the demo keeps its files, as it says. */
function directoryIn(printed: string): string {
  return /\/\S*\/fairlead-\w+/.exec(printed)?.[0] ?? '';
}

/** The lines to the last one that is wanted, or to the end. */
async function linesUntil(output: AsyncIterable<string>, last: string): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of output) {
    lines.push(line);
    if (line === last) break;
  }
  return lines;
}

/** Runs the demo until it waits, then ends it as Ctrl-C does; what it printed. */
async function checkDemo(t: Test): Promise<string> {
  const { child, lines: output, exit } = startDemo(t);
  const lines = await inTime('the demo stays up', linesUntil(output, lastLine));
  const printed = lines.join('\n');
  t.equal(lines.at(-1), lastLine, 'it stays up');
  t.match(printed, /server -> client +200 after/);
  t.match(printed, /GET \/pods: 200 after/);
  t.match(printed, /curl --proxy https:/);
  const pids = [...printed.matchAll(/fairlead-(?:server|agent), pid (\d+)/g)].map((match) =>
    Number(match[1]),
  );
  t.equal(pids.length, 2, 'server and agent are processes of their own');
  const directory = directoryIn(printed);
  t.ok(existsSync(directory), directory);

  child.kill('SIGINT');
  t.same(await inTime('the demo ends', exit), [0, null], 'Ctrl-C ends it in order');
  for (const pid of pids)
    t.throws(() => process.kill(pid, 0), { code: 'ESRCH' }, 'no process is left');
  t.notOk(existsSync(directory), 'nor a file');
  return printed;
}

t.test('it runs, and ends cleanly', async (t) => {
  await checkDemo(t);
});

t.test('with its port taken it says so and takes another', async (t) => {
  const squatter = createServer();
  // If another process has the port, it is taken as well.
  squatter.on('error', () => {});
  squatter.listen(8090, loopback);
  await Promise.race([once(squatter, 'listening'), once(squatter, 'error')]).catch(() => {});
  t.teardown(() => {
    squatter.close();
  });
  const printed = await checkDemo(t);
  const [, other] = /port 8090 is taken, \S+ front end uses (\d+) instead/.exec(printed) ?? [];
  t.ok(other, 'it says which');
  t.match(printed, `curl --proxy https://localhost:${other}`);
});

t.test('an early Ctrl-C ends it at once and leaves nothing behind', async (t) => {
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
