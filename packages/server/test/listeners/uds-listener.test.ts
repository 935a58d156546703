import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, lstat, mkdir, readdir, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createLogger, StartupError, UsageError } from '@fairlead/runtime/process';
import { UdsListener, type UdsListenerOptions } from '@fairlead/server/internal';
import { eventually, makeTemporaryDirectory, openFrontEnd, readText } from '@fairlead/testkit';
import t, { type Test } from 'tap';

async function temporaryDirectory(t: Test): Promise<string> {
  const directory = await makeTemporaryDirectory();
  t.teardown(() => directory.close());
  return directory.path;
}

/** A listener that sends its name to each client. */
function listenerAt(
  t: Test,
  path: string,
  options: Partial<UdsListenerOptions> & { name?: string; log?: string[] } = {},
): UdsListener {
  const { name = 'first', log = [], ...rest } = options;
  const all = { path, checkIntervalMs: 10_000, ...rest };
  const logger = createLogger('info', { write: (line: string) => log.push(line) });
  const listener = new UdsListener(all, logger, (socket) => {
    socket.on('error', () => {});
    socket.end(name);
  });
  t.teardown(() => {
    listener.stop();
    listener.destroyAll();
  });
  return listener;
}

const greetingAt = async (path: string) => {
  const socket = await openFrontEnd({ path });
  const text = await readText(socket);
  socket.destroy();
  return text;
};

/** Leaves a socket file as a killed process does. */
async function leaveStaleSocket(path: string): Promise<void> {
  const script = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`;
  await once(spawn(process.execPath, ['-e', script, path]), 'exit');
}

t.test('listens with mode 0660, and removes the socket when it stops', async (t) => {
  const directory = await temporaryDirectory(t);
  const path = join(directory, 's');
  const log: string[] = [];
  const mask = process.umask();
  const listener = listenerAt(t, path, { log });
  await listener.listen();
  t.equal(process.umask(), mask, 'the umask is restored');
  t.equal((await lstat(path)).mode & 0o777, 0o660);
  t.same(await readdir(directory), ['s']);
  t.match(JSON.parse(log[0]!), { msg: 'listening', listener: 'frontend', path });
  t.equal(await greetingAt(path), 'first');
  listener.stop();
  t.same(await readdir(directory), []);
});

t.test('replaces a stale socket', async (t) => {
  const path = join(await temporaryDirectory(t), 's');
  await leaveStaleSocket(path);
  t.ok((await lstat(path)).isSocket());
  await listenerAt(t, path).listen();
  t.equal(await greetingAt(path), 'first');
});

t.test('replaces the temporary socket of a killed process with the same PID', async (t) => {
  const path = join(await temporaryDirectory(t), 's');
  await leaveStaleSocket(`${path}.${process.pid}`);
  await listenerAt(t, path).listen();
  t.equal(await greetingAt(path), 'first');
});

t.test('keeps a stale socket if deleteExisting is false', async (t) => {
  const path = join(await temporaryDirectory(t), 's');
  await leaveStaleSocket(path);
  const listening = listenerAt(t, path, { deleteExisting: false }).listen();
  await t.rejects(listening, { name: 'StartupError', message: /--delete-existing-uds-file=false/ });
});

t.test('fails if another server listens at the path', async (t) => {
  const path = join(await temporaryDirectory(t), 's');
  await listenerAt(t, path).listen();
  const second = listenerAt(t, path, { name: 'second' });
  await t.rejects(second.listen(), {
    name: 'StartupError',
    message: /^--uds-name .*--uds-takeover$/,
  });
  t.equal(await greetingAt(path), 'first');
});

t.test('after a takeover, the first server does not remove the new socket', async (t) => {
  const path = join(await temporaryDirectory(t), 's');
  const first = listenerAt(t, path);
  await first.listen();
  await listenerAt(t, path, { name: 'second', takeover: true }).listen();
  t.equal(await greetingAt(path), 'second');
  first.stop();
  t.equal(await greetingAt(path), 'second');
});

t.test('makes the socket again if it vanishes, and keeps its clients', async (t) => {
  const directory = await temporaryDirectory(t);
  const path = join(directory, 's');
  const log: string[] = [];
  const listener = listenerAt(t, path, { log, checkIntervalMs: 20 });
  await listener.listen();
  const client = await openFrontEnd({ path });
  t.teardown(() => client.destroy());
  await unlink(path);
  await eventually('the socket is there again', () => existsSync(path));
  t.equal(await greetingAt(path), 'first');
  t.equal((await lstat(path)).mode & 0o777, 0o660);
  t.equal(listener.fault, undefined);
  t.equal(await readText(client), 'first', 'a client of the old socket is still served');
  const said = { path, msg: 'the socket was gone from its path and was made again' };
  t.match(JSON.parse(log.at(-1)!), said);
  listener.stop();
  t.same(await readdir(directory), []);
});

t.test('says once that clients cannot reach the socket, until its directory is back', async (t) => {
  const directory = await temporaryDirectory(t);
  const path = join(directory, 'run', 's');
  await mkdir(join(directory, 'run'));
  const log: string[] = [];
  const listener = listenerAt(t, path, { log });
  await listener.listen();
  await rm(join(directory, 'run'), { recursive: true });
  await listener.check();
  await listener.check();
  t.match(listener.fault, /^--uds-name .* the directory does not exist; create it$/);
  const complaints = log.filter((line) => line.includes('clients cannot reach the socket'));
  t.equal(complaints.length, 1);
  await mkdir(join(directory, 'run'));
  await listener.check();
  t.equal(listener.fault, undefined);
  t.equal(await greetingAt(path), 'first');
});

t.test('a server whose path was taken has a fault, until the other one is gone', async (t) => {
  const path = join(await temporaryDirectory(t), 's');
  const first = listenerAt(t, path, { takeover: true });
  await first.listen();
  const second = listenerAt(t, path, { name: 'second', takeover: true });
  await second.listen();
  await first.check();
  t.match(first.fault, /another process listens there/);
  t.equal(await greetingAt(path), 'second');
  second.stop();
  await first.check();
  t.equal(first.fault, undefined);
  t.equal(await greetingAt(path), 'first');
});

t.test('a socket that is moved away and back has no fault', async (t) => {
  const directory = await temporaryDirectory(t);
  const path = join(directory, 's');
  const listener = listenerAt(t, path);
  await listener.listen();
  await rename(path, join(directory, 'away'));
  await mkdir(path);
  await listener.check();
  t.match(listener.fault, /exists and is not a socket/);
  await rm(path, { recursive: true });
  await rename(join(directory, 'away'), path);
  await listener.check();
  t.equal(listener.fault, undefined);
  t.equal(await greetingAt(path), 'first');
});

t.test('never replaces a file that is not a socket', async (t) => {
  const directory = await temporaryDirectory(t);
  const file = join(directory, 'file');
  await writeFile(file, 'content');
  for (const path of [file, directory]) {
    const listening = listenerAt(t, path, { takeover: true }).listen();
    await t.rejects(listening, { name: 'UsageError', message: /^--uds-name .* is not a socket/ });
  }
  t.ok(existsSync(file));
});

t.test('fails with the limit if the path is too long', async (t) => {
  const directory = await temporaryDirectory(t);
  const suffix = `.${process.pid}`;
  const longest = join(directory, 'x'.repeat(107 - suffix.length - directory.length - 1));
  await listenerAt(t, longest).listen();
  t.equal(await greetingAt(longest), 'first');
  const listening = listenerAt(t, `${longest}x`).listen();
  await t.rejects(listening, UsageError);
  await t.rejects(listenerAt(t, join(directory, 'ü'.repeat(60))).listen(), {
    message: new RegExp(`at most ${107 - suffix.length} fit`),
  });
});

t.test('fails in one line if the directory does not exist', async (t) => {
  const path = join(await temporaryDirectory(t), 'missing', 's');
  const listening = listenerAt(t, path).listen();
  await t.rejects(listening, {
    name: 'UsageError',
    message: /^--uds-name .* the directory does not exist/,
  });
});

t.test('fails if another program listens at the path', async (t) => {
  const path = join(await temporaryDirectory(t), 's');
  const other = createServer().listen(path);
  await once(other, 'listening');
  t.teardown(() => other.close());
  await t.rejects(listenerAt(t, path).listen(), StartupError);
});

t.test(
  'a directory that this user cannot write to: the error has the user and the cure',
  async (t) => {
    const directory = await temporaryDirectory(t);
    await chmod(directory, 0o555);
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65_534);
    t.teardown(async () => {
      if (isRoot) process.seteuid?.(0);
      await chmod(directory, 0o700);
    });
    await t.rejects(listenerAt(t, join(directory, 's')).listen(), {
      name: 'StartupError',
      message: /^--uds-name .*\/s: this user \(uid \d+\) may not create files in .*chown/,
    });
  },
);
