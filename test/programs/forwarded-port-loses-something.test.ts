/** `fairlead forward`: bytes, ends, failures or mistakes that get lost on the way. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import {
  closeAfter,
  countBytes,
  programs,
  RunningProcess,
  readSinkReport,
  reserveRefusedPort,
  seededReadable,
  seededSha256,
  startEarlyEndTarget,
  startEchoTarget,
  startResetTarget,
  startSinkTarget,
  startSourceTarget,
} from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { loopback, startService } from './fixture.ts';
import { echoLine, gone } from './ways-in.ts';

const { server } = await startService(t);
const uds = ['--proxy', `unix:${server.uds.path}`];
const totalBytes = 8 * 2 ** 20;
const largeTimeoutMs = 20_000;

/** Starts a forward of one target. */
async function startForward(t: Test, flags: readonly string[], target: { port: number }) {
  const args = ['forward', ...flags, `:${loopback}:${target.port}`];
  const running = closeAfter(t, await RunningProcess.start(programs.cli, args));
  const port = await forwardedPort(running);
  return { running, open: () => openSocket(t, port) };
}

async function forwardedPort(running: RunningProcess): Promise<number> {
  const until = performance.now() + largeTimeoutMs;
  for (;;) {
    const port = /^Forwarding from \S+:(\d+) -> /m.exec(running.stdout)?.[1];
    if (port !== undefined) return Number(port);
    if (performance.now() > until) throw new Error(running.describe());
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function openSocket(t: Test, port: number): Socket {
  const socket = connect({ host: loopback, port, allowHalfOpen: true });
  socket.on('error', () => {});
  t.teardown(() => {
    socket.destroy();
  });
  return socket;
}

for (const protocol of ['http1', 'http2']) {
  t.test(`by ${protocol}`, async (t) => {
    const flags = [...uds, `--proxy-protocol=${protocol}`];

    t.test('bytes and half-close, both ways', async (t) => {
      const sink = await startSinkTarget();
      const source = await startSourceTarget({ totalBytes });
      for (const target of [sink, source]) t.teardown(() => target.close());
      const up = (await startForward(t, flags, sink)).open();
      seededReadable('up', totalBytes).pipe(up);
      const { sha256 } = await readSinkReport(up);
      t.equal(sha256, seededSha256('up', totalBytes), 'the answer after the end is whole too');
      const down = (await startForward(t, flags, source)).open();
      down.end();
      t.match(await countBytes(down), { bytes: totalBytes, sha256: source.sha256 });
    });

    t.test('many connections at once, each with its own line', async (t) => {
      const echo = await startEchoTarget();
      t.teardown(() => echo.close());
      const { running, open } = await startForward(t, flags, echo);
      const sockets = Array.from({ length: 20 }, open);
      await Promise.all(sockets.map((socket, at) => echoLine(socket, `line ${at}\n`)));
      t.equal(running.stdout.match(/^Handling connection for \d+$/gm)?.length, 20);
    });

    t.test('an end of the target is an end here', async (t) => {
      const target = await startEarlyEndTarget({ onReport: () => {} });
      t.teardown(() => target.close());
      const socket = (await startForward(t, flags, target)).open();
      socket.resume();
      await once(socket, 'end');
      t.pass();
    });
  });
}

// HTTP/1.1 has no way to tell a reset from an end over a Unix domain socket.
t.test('by HTTP/2 a reset of the target is a reset here', async (t) => {
  const target = await startResetTarget({ afterBytes: 1 });
  t.teardown(() => target.close());
  const { running, open } = await startForward(t, [...uds, '--proxy-protocol=http2'], target);
  const socket = open();
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const errors: NodeJS.ErrnoException[] = [];
  socket.on('error', (error) => errors.push(error));
  socket.write('x');
  socket.resume();
  await closed;
  t.match(errors, [{ code: 'ECONNRESET' }]);
  await running.waitForLog(({ msg }) => /connection for \d+: .*stream_lost/.test(String(msg)));
});

t.test('a target that is down is a warning, and each connection is told why', async (t) => {
  const refused = await reserveRefusedPort();
  t.teardown(() => refused.close());
  const { running, open } = await startForward(t, uds, refused);
  const said = ({ msg }: { msg?: unknown }) => String(msg);
  await running.waitForLog((line) => /warning: target .*target_refused/.test(said(line)));
  await gone(open());
  await running.waitForLog((line) => /connection for \d+: .*target_refused/.test(said(line)));
});

t.test('Ctrl-C ends it', async (t) => {
  const echo = await startEchoTarget();
  t.teardown(() => echo.close());
  const { running, open } = await startForward(t, uds, echo);
  const socket = open();
  await echoLine(socket, 'hello\n');
  running.kill('SIGINT');
  t.same(await running.exit, { code: 0, signal: null });
  await gone(socket);
});

const taken = createServer().listen(0, loopback);
await once(taken, 'listening');
t.teardown(() => {
  taken.close();
});
const takenPort = (taken.address() as AddressInfo).port;

const mistakes: Record<string, { args: string[]; code: 1 | 2; says: RegExp }> = {
  'no target': { args: uds, code: 2, says: /LOCAL:HOST:PORT/ },
  'a target without a port': { args: [...uds, 'somewhere'], code: 2, says: /LOCAL:HOST:PORT/ },
  'a server that is down': {
    args: ['--proxy', `unix:${server.uds.path}.gone`, '0:somewhere:80'],
    code: 1,
    says: /--proxy unix:\S+: there is no such socket/,
  },
  'a local port in use': {
    args: [...uds, `${takenPort}:${loopback}:1`],
    code: 1,
    says: new RegExp(`local port ${takenPort}: .*another process`),
  },
  'a second local port in use': {
    args: [...uds, '--proxy-protocol=http2', `0:${loopback}:1`, `${takenPort}:${loopback}:1`],
    code: 1,
    says: new RegExp(`local port ${takenPort}: .*another process`),
  },
};

t.test('mistakes', { jobs: 4 }, async (t) => {
  for (const [name, { args, code, says }] of Object.entries(mistakes)) {
    t.test(name, async (t) => {
      const running = closeAfter(t, await RunningProcess.start(programs.cli, ['forward', ...args]));
      t.equal((await running.exit).code, code);
      t.match(running.logs.map(({ msg }) => msg).join('\n'), says);
    });
  }
});
