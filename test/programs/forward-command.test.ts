/** `fairlead forward`: bytes, half-close, resets, failures and wrong arguments. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import {
  closeAfter,
  countBytes,
  eventually,
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
import { runCommand } from '../../packages/cli/test/run-fairlead.ts';
import { echoLine, inTime, untilEnded } from './clients.ts';
import { loopback, startService } from './fixture.ts';

const { server } = await startService(t);
const uds = ['--proxy', `unix:${server.uds.path}`];
const totalBytes = 8 * 2 ** 20;

interface Target {
  readonly port: number;
}

/** Starts one forward to these targets. `open` connects to the given target, by default the first. */
async function startForward(t: Test, flags: readonly string[], ...targets: [Target, ...Target[]]) {
  const specs = targets.map(({ port }) => `:${loopback}:${port}`);
  const args = ['forward', ...flags, ...specs];
  const running = closeAfter(t, await RunningProcess.start(programs.cli, args));
  const ports = await forwardedPorts(running, targets.length);
  const open = (t: Test, target = targets[0]) => openSocket(t, ports[targets.indexOf(target)]!);
  return { running, open };
}

function forwardedPorts(running: RunningProcess, count: number): Promise<number[]> {
  return eventually(`the forward listens: ${running.describe()}`, () => {
    const lines = [...running.stdout.matchAll(/^Forwarding from \S+:(\d+) -> /gm)];
    return lines.length === count ? lines.map(([, port]) => Number(port)) : undefined;
  }).then((ports) => ports ?? []);
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
  t.test(`forwards by ${protocol}`, async (t) => {
    const flags = [...uds, `--proxy-protocol=${protocol}`];
    const sink = await startSinkTarget();
    const source = await startSourceTarget({ totalBytes });
    const echo = await startEchoTarget();
    const earlyEnd = await startEarlyEndTarget({ onReport: () => {} });
    const targets = [sink, source, echo, earlyEnd] as const;
    for (const target of targets) t.teardown(() => target.close());
    const { running, open } = await startForward(t, flags, ...targets);

    await t.test('carries bytes and half-close in both directions', async (t) => {
      const up = open(t, sink);
      seededReadable('up', totalBytes).pipe(up);
      const { sha256 } = await readSinkReport(up);
      t.equal(
        sha256,
        seededSha256('up', totalBytes),
        'the answer after the half-close is complete',
      );
      const down = open(t, source);
      down.end();
      t.match(await countBytes(down), { bytes: totalBytes, sha256: source.sha256 });
    });

    await t.test('serves many connections at once, and prints a line for each', async (t) => {
      const countLines = () => running.stdout.match(/^Handling connection for \d+$/gm)?.length ?? 0;
      const before = countLines();
      const sockets = Array.from({ length: 20 }, () => open(t, echo));
      await Promise.all(sockets.map((socket, at) => echoLine(socket, `line ${at}\n`)));
      t.equal(countLines() - before, 20);
    });

    await t.test('ends the local connection if the target ends', async (t) => {
      const socket = open(t, earlyEnd);
      socket.resume();
      await inTime('the socket ends', once(socket, 'end'));
      t.pass();
    });
  });
}

// Over HTTP/1.1 on a Unix domain socket, a reset looks like an end.
t.test('resets the local connection if the target resets, by HTTP/2', async (t) => {
  const target = await startResetTarget({ afterBytes: 1 });
  t.teardown(() => target.close());
  const { running, open } = await startForward(t, [...uds, '--proxy-protocol=http2'], target);
  const socket = open(t);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const errors: NodeJS.ErrnoException[] = [];
  socket.on('error', (error) => errors.push(error));
  socket.write('x');
  socket.resume();
  await inTime('the socket closes', closed);
  t.match(errors, [{ code: 'ECONNRESET' }]);
  await running.waitForLog(({ msg }) => /connection for \d+: .*stream_lost/.test(String(msg)));
});

t.test('warns if a target is down, and logs the reason for each connection', async (t) => {
  const refused = await reserveRefusedPort();
  t.teardown(() => refused.close());
  const { running, open } = await startForward(t, uds, refused);
  const textOf = ({ msg }: { msg?: unknown }) => String(msg);
  await running.waitForLog((line) => /warning: target .*target_refused/.test(textOf(line)));
  await untilEnded(open(t));
  await running.waitForLog((line) => /connection for \d+: .*target_refused/.test(textOf(line)));
});

t.test('Ctrl-C ends the program and its connections', async (t) => {
  const echo = await startEchoTarget();
  t.teardown(() => echo.close());
  const { running, open } = await startForward(t, uds, echo);
  const socket = open(t);
  await echoLine(socket, 'hello\n');
  running.kill('SIGINT');
  t.same(await inTime('the program ends', running.exit), { code: 0, signal: null });
  await untilEnded(socket);
});

const taken = createServer().listen(0, loopback);
await once(taken, 'listening');
t.teardown(() => {
  taken.close();
});
const takenPort = (taken.address() as AddressInfo).port;

const mistakes: Record<string, { args: string[]; code: 1 | 2; message: RegExp }> = {
  'no target': { args: uds, code: 2, message: /LOCAL:HOST:PORT/ },
  'a target without a port': { args: [...uds, 'somewhere'], code: 2, message: /LOCAL:HOST:PORT/ },
  'a server that is down': {
    args: ['--proxy', `unix:${server.uds.path}.missing`, '0:somewhere:80'],
    code: 1,
    message: /--proxy unix:\S+: the socket does not exist/,
  },
  'a local port in use': {
    args: [...uds, `${takenPort}:${loopback}:1`],
    code: 1,
    message: new RegExp(`local port ${takenPort}: .*another process`),
  },
  'a second local port in use': {
    args: [...uds, '--proxy-protocol=http2', `0:${loopback}:1`, `${takenPort}:${loopback}:1`],
    code: 1,
    message: new RegExp(`local port ${takenPort}: .*another process`),
  },
};

t.test('prints the cause of a wrong argument', async (t) => {
  for (const [name, { args, code, message }] of Object.entries(mistakes)) {
    const result = await runCommand(['forward', ...args]);
    t.equal(result.code, code, name);
    t.match(result.stderr, message, name);
  }
});
