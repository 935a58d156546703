import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import {
  closeAfter,
  countBytes,
  countOpenFiles,
  type FrontEndAddress,
  makeTemporaryDirectory,
  openFrontEnd,
  programs,
  RunningProcess,
  readProcessStats,
  seededReadable,
  seededSha256,
  sharedTestPki,
  startEchoTarget,
  startLateAnswerTarget,
  startResetTarget,
  watchProcess,
} from '@fairlead/testkit';
import t, { type Test } from 'tap';

/** Runs JavaScript as a program. */
async function run(
  test: Test,
  source: string,
  ...rest: [args?: string[], env?: Record<string, string>]
): Promise<RunningProcess> {
  const directory = await makeTemporaryDirectory();
  test.teardown(() => directory.close());
  const file = join(directory.path, 'program.mjs');
  await writeFile(file, source);
  const [args = [], env = {}] = rest;
  const running = await RunningProcess.start(file, args, { env });
  test.teardown(() => running.close());
  return running;
}

const stayUp = 'setInterval(() => {}, 1000);\n';

t.test('reads log lines, listeners, stdout and the exit code', async (t) => {
  const running = await run(
    t,
    `
    console.log('to stdout', process.argv[2], process.env.GIVEN);
    console.error('plain text');
    console.error('{broken');
    process.stderr.write('{"level":30,"msg":"listening","listener":"agent",');
    process.stderr.write('"address":"127.0.0.1","port":4711}\\n');
    console.error('{"msg":"listening","listener":"uds","path":"/run/x"}');
    process.on('SIGTERM', () => { process.stderr.write('no newline'); process.exitCode = 3; process.exit(); });
    ${stayUp}`,
    ['argument'],
    { GIVEN: 'given' },
  );
  t.same(await running.waitForListener('agent'), { address: '127.0.0.1', port: 4711, path: '' });
  t.same(await running.waitForListener('uds'), { address: '', port: 0, path: '/run/x' });
  t.match(await running.waitForLog('plain text'), { msg: 'plain text' });
  t.match(await running.waitForLog((line) => line.msg === '{broken'), { msg: '{broken' });
  running.kill();
  t.same(await running.exit, { code: 3, signal: null });
  t.equal(running.stdout, 'to stdout argument given\n');
  t.match(
    await running.waitForLog('no newline'),
    { msg: 'no newline' },
    'a line without a line end',
  );
  t.match(running.describe(), /ended with exit code 3[\s\S]*to stdout[\s\S]*plain text/);
  await running.close();
});

t.test('the program does not inherit the environment', async (t) => {
  process.env.HTTPS_PROXY = 'http://proxy.test';
  t.teardown(() => {
    delete process.env.HTTPS_PROXY;
  });
  const running = await run(t, 'console.error(JSON.stringify({ msg: "env", ...process.env }));');
  const line = await running.waitForLog('env');
  t.notOk('HTTPS_PROXY' in line);
  t.ok('PATH' in line);
});

t.test('the error of a timeout has the output of the program', async (t) => {
  const silent = await run(t, `console.error('only this');\n${stayUp}`);
  await silent.waitForLog('only this');
  await t.rejects(silent.waitForLog('something else', 20), /20 ms[\s\S]*running[\s\S]*only this/);
  const ended = await run(t, `console.error('bad flag'); process.exit(2);`);
  await t.rejects(ended.waitForLog('listening'), /ended without[\s\S]*exit code 2[\s\S]*bad flag/);
});

t.test('close() ends a stopped program', async (t) => {
  const stopped = await run(t, `console.error('up');\n${stayUp}`);
  await stopped.waitForLog('up');
  stopped.kill('SIGSTOP');
  await stopped.close();
  t.same(await stopped.exit, { code: null, signal: 'SIGTERM' });
  const killed = await run(t, `console.error('up');\n${stayUp}`);
  await killed.waitForLog('up');
  killed.kill('SIGKILL');
  t.same(await killed.exit, { code: null, signal: 'SIGKILL' });
});

t.test('closeAfter prints the log of a failed test only', async (t) => {
  for (const passing of [true, false]) {
    const running = await run(t, `console.error('the reason');\n${stayUp}`);
    await running.waitForLog('the reason');
    const comments: string[] = [];
    let cleanUp = async () => {};
    closeAfter(
      {
        passing: () => passing,
        comment: (text) => comments.push(text),
        teardown: (given) => {
          cleanUp = given;
        },
      },
      running,
    );
    await cleanUp();
    t.same(await running.exit, { code: null, signal: 'SIGTERM' });
    t.match(comments, passing ? [] : [/the reason/]);
    t.equal(comments.length, passing ? 0 : 1);
  }
});

t.test('measures the memory and processor time of a process', async (t) => {
  const running = await run(
    t,
    `
    process.once('SIGUSR2', () => {
      const kept = Buffer.alloc(64 * 1024 * 1024, 1);
      const start = process.cpuUsage();
      // Uses processor time until the limit, without garbage that would change the memory.
      do for (let until = performance.now() + 20; performance.now() < until;);
      while (process.cpuUsage(start).user < 200_000);
      console.error('done');
      setInterval(() => kept[0]++, 1000);
    });
    console.error('up');
    ${stayUp}`,
  );
  await running.waitForLog('up');
  const before = readProcessStats(running.pid);
  t.ok(before.rssBytes > 20e6 && before.rssBytes < 200e6, `${before.rssBytes} bytes`);
  const stop = watchProcess(running.pid, 10);
  running.kill('SIGUSR2');
  await running.waitForLog('done');
  const usage = stop();
  t.ok(usage.maxRssBytes - usage.minRssBytes > 50e6, 'the growth of memory is measured');
  t.ok(usage.cpuMs >= 100 && usage.cpuMs <= usage.elapsedMs * 2 + 20, `${usage.cpuMs} ms`);
  t.ok(usage.elapsedMs >= 150);
  // The kernel counts memory separately for each core, so VmHWM is not exact (proc(5)).
  const countError = 1e6;
  t.ok(readProcessStats(running.pid).peakRssBytes >= usage.maxRssBytes - countError);
  t.ok(countOpenFiles(running.pid) >= 3);
  await running.close();
  t.throws(() => readProcessStats(running.pid));
});

/** Starts the near and the far relay as processes, like the bench. */
async function startRelays(t: Test, to: { host: string; port: number }): Promise<FrontEndAddress> {
  const { agent } = await sharedTestPki();
  const directory = await makeTemporaryDirectory();
  t.teardown(() => directory.close());
  const start = async (role: 'near' | 'far', listen: string, towards: string) => {
    const own = role === 'near' ? agent.client : agent.server;
    const running = await RunningProcess.start(programs.tlsRelay, [
      ...[role, '--listen', listen, '--to', towards],
      ...['--ca', agent.caFile, '--cert', own.certFile, '--key', own.keyFile],
    ]);
    return closeAfter(t, running);
  };
  const far = await start('far', '127.0.0.1:0', `${to.host}:${to.port}`);
  const { port } = await far.waitForListener('far');
  const path = join(directory.path, 'near');
  const near = await start('near', path, `127.0.0.1:${port}`);
  t.equal((await near.waitForListener('near')).path, path);
  return { path };
}

async function dial(t: Test, via: FrontEndAddress): Promise<Socket> {
  const socket = await openFrontEnd(via);
  t.teardown(() => socket.destroy());
  return socket;
}

t.test('the TLS relay carries bytes, half-close and reset', async (t) => {
  const echo = await startEchoTarget();
  t.teardown(() => echo.close());
  const viaEcho = await startRelays(t, echo);
  const sockets = await Promise.all(Array.from({ length: 10 }, () => dial(t, viaEcho)));
  await Promise.all(
    sockets.map(async (socket, index) => {
      seededReadable(`relay ${index}`, 500_000).pipe(socket);
      t.equal((await countBytes(socket)).sha256, seededSha256(`relay ${index}`, 500_000));
    }),
  );
  t.equal(echo.connections, 10);

  const late = await startLateAnswerTarget({ answerBytes: 1_000_000 });
  t.teardown(() => late.close());
  const asking = await dial(t, await startRelays(t, late));
  asking.end('question');
  t.equal((await countBytes(asking)).sha256, late.sha256);

  const resetting = await startResetTarget();
  t.teardown(() => resetting.close());
  const broken = await dial(t, await startRelays(t, resetting));
  const closed = once(broken.resume(), 'close');
  broken.on('error', () => {});
  broken.on('end', () => broken.end());
  t.ok(await closed, 'the connection of the client is closed');
});

t.test('the TLS relay refuses invalid arguments and clients without a certificate', async (t) => {
  const bad = closeAfter(t, await RunningProcess.start(programs.tlsRelay, ['near']));
  t.same(await bad.exit, { code: 2, signal: null });
  t.match(bad.logs, [{ msg: /^usage: / }]);

  const { agent } = await sharedTestPki();
  const echo = await startEchoTarget();
  t.teardown(() => echo.close());
  const far = closeAfter(
    t,
    await RunningProcess.start(programs.tlsRelay, [
      ...['far', '--listen', '127.0.0.1:0', '--to', `127.0.0.1:${echo.port}`],
      ...['--ca', agent.caFile, '--cert', agent.server.certFile, '--key', agent.server.keyFile],
    ]),
  );
  const { port } = await far.waitForListener('far');
  const socket = await openFrontEnd({ host: '127.0.0.1', port, tls: { ca: agent.ca } });
  t.teardown(() => socket.destroy());
  await t.rejects(countBytes(socket));
  t.equal(echo.connections, 0);
  const plain = connect({ host: '127.0.0.1', port });
  plain.on('error', () => {});
  const closed = once(plain.resume(), 'close');
  plain.end('no TLS');
  await closed;
  t.equal(echo.connections, 0);
});
