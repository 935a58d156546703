/** Notifications to systemd, with the real systemd-notify and with a fake one. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Changes } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { SampleProcess } from './sample-process.ts';

/** systemd's end of the protocol, in Python because Node has no Unix datagram sockets. */
const listener = `
import json, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('["bound"]', flush=True)
while True: print(json.dumps(s.recv(65536).decode().splitlines()), flush=True)`;

class NotifySocket {
  readonly path: string;
  /** The lines of each datagram so far. */
  readonly datagrams: string[][] = [];
  readonly #changes = new Changes();

  private constructor(path: string, python: ChildProcess) {
    this.path = path;
    createInterface(python.stdout!).on('line', (line) => {
      this.datagrams.push(JSON.parse(line));
      this.#changes.notify();
    });
  }

  static async open(t: Test): Promise<NotifySocket> {
    // The path of t.testdir() can be too long for a socket.
    const directory = mkdtempSync(join(tmpdir(), 'fairlead-notify-'));
    t.teardown(() => rmSync(directory, { recursive: true }));
    const path = join(directory, 'socket');
    const python = spawn('python3', ['-c', listener, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.teardown(() => python.kill('SIGKILL'));
    const socket = new NotifySocket(path, python);
    await socket.has('bound');
    return socket;
  }

  /** Waits for `count` datagrams with this line, and returns the last of them. */
  has(line: string, count = 1): Promise<string[]> {
    return this.#changes.until(
      () => this.datagrams.filter((datagram) => datagram.includes(line))[count - 1],
      `${count} datagrams with ${line}`,
    );
  }
}

/** Creates a directory with a fake systemd-notify that records its arguments. */
function fakeNotify(t: Test): { readonly path: string; notes(): string } {
  const path = t.testdir();
  const notes = join(path, 'notes');
  writeFileSync(
    join(path, 'systemd-notify'),
    `#!/bin/sh\necho "$NOTIFY_SOCKET: $*" >> '${notes}'\n`,
  );
  chmodSync(join(path, 'systemd-notify'), 0o755);
  return { path, notes: () => (existsSync(notes) ? readFileSync(notes, 'utf8') : '') };
}

const isInstalled = (file: string) => spawnSync(file, ['--version']).status === 0;
const missing = ['python3', 'systemd-notify'].filter((file) => !isInstalled(file));
const skip =
  missing.length > 0 && `SKIPPED: ${missing} is not installed, so systemd-notify is not tested`;
if (skip) t.comment(skip);

t.test('notifies ready, watchdog, reloading and stopping in this order', { skip }, async (t) => {
  const socket = await NotifySocket.open(t);
  const program = new SampleProcess(t, 'sample-program', [], {
    NOTIFY_SOCKET: socket.path,
    WATCHDOG_USEC: '400000',
  });
  t.same(await socket.has('READY=1'), ['READY=1', 'STATUS=serving samples']);
  // The order of log lines and datagrams is arbitrary: they use different channels.
  await program.log('listening');
  t.same(await socket.has('WATCHDOG=1', 2), ['WATCHDOG=1', 'STATUS=serving samples']);

  program.child.kill('SIGHUP');
  const [, time] = await socket.has('RELOADING=1');
  const [, microseconds] = /^MONOTONIC_USEC=(\d+)$/.exec(time!) ?? [];
  const now = Number(process.hrtime.bigint() / 1000n);
  t.ok(
    Number(microseconds) < now && Number(microseconds) > now - 60e6,
    'the time of the system clock',
  );
  await socket.has('READY=1', 2);

  program.child.kill('SIGTERM');
  t.same(await socket.has('STOPPING=1'), ['STOPPING=1', 'STATUS=Draining']);
  t.equal(await program.exit(), 0);
  // systemd-notify sends BARRIER to wait until earlier datagrams were read.
  const steps = socket.datagrams
    .map(([step]) => step!)
    .filter((step) => !/^(WATCHDOG|BARRIER)=/.test(step));
  t.same(steps, ['bound', 'READY=1', 'RELOADING=1', 'READY=1', 'STOPPING=1']);
  t.equal(program.logs().filter(({ level }) => level === 'warn').length, 0, 'no warnings');
});

t.test('sends nothing without NOTIFY_SOCKET', async (t) => {
  const { path, notes } = fakeNotify(t);
  const env = { PATH: `${path}:${process.env.PATH}`, WATCHDOG_USEC: '20000' };
  const program = new SampleProcess(t, 'sample-program', [], env);
  await program.log('listening');
  program.child.kill('SIGHUP');
  program.child.kill('SIGTERM');
  t.equal(await program.exit(), 0);
  t.equal(notes(), '');
});

t.test("sends no WATCHDOG=1 for another process's watchdog", async (t) => {
  const { path, notes } = fakeNotify(t);
  const program = new SampleProcess(t, 'sample-program', [], {
    PATH: `${path}:${process.env.PATH}`,
    NOTIFY_SOCKET: '/run/elsewhere',
    WATCHDOG_USEC: '20000',
    WATCHDOG_PID: '1',
  });
  await program.log('listening');
  program.child.kill('SIGTERM');
  t.equal(await program.exit(), 0);
  t.equal(
    notes(),
    '/run/elsewhere: READY=1 STATUS=serving samples\n/run/elsewhere: STOPPING=1 STATUS=Draining\n',
  );
});

t.test('logs one warning without systemd-notify, and continues', async (t) => {
  const program = new SampleProcess(t, 'sample-program', [], {
    PATH: t.testdir(),
    NOTIFY_SOCKET: '/run/elsewhere',
    WATCHDOG_USEC: '20000',
  });
  const msg =
    'cannot notify systemd: systemd-notify failed. Check that it is on the PATH and that the unit has NotifyAccess=all';
  t.match(await program.log(msg), { level: 'warn', detail: /ENOENT/ });
  program.child.kill('SIGTERM');
  t.equal(await program.exit(), 0);
  t.equal(program.logs().filter((line) => line.msg === msg).length, 1);
});
