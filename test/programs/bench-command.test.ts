/** `fairlead bench`: its figures, errors, reports and exit codes. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  closeAfter,
  eventually,
  makeTemporaryDirectory,
  programs,
  RunningProcess,
  reserveRefusedPort,
  startEchoTarget,
  startKubeletTarget,
  startPodTarget,
  startSinkTarget,
} from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { runCommand } from '../../packages/cli/test/run-fairlead.ts';
import { inTime } from './clients.ts';
import {
  loopback,
  startAgent,
  startServer,
  startService,
  testPki,
  untilAgentsConnected,
} from './fixture.ts';

const { server } = await startService(t);
const pki = await testPki();
const directory = await makeTemporaryDirectory();
const echo = await startEchoTarget();
const pod = await startPodTarget();
const sink = await startSinkTarget();
const refused = await reserveRefusedPort();
for (const part of [directory, echo, pod, sink, refused]) t.teardown(() => part.close());

const uds = `unix:${server.uds.path}`;
const https = `https://${loopback}:${server.tcp.port}`;
const { frontend } = pki;
const mtls = [
  ['--proxy', https],
  ['--proxy-ca-cert', frontend.caFile],
  ['--proxy-cert', frontend.client.certFile],
  ['--proxy-key', frontend.client.keyFile],
].flat();
const runFor = (duration: string) => [
  `--duration=${duration}`,
  ...['--warm-up=50ms', '--streams=4', '--quiet'],
];
/** Long enough for some messages on a busy machine. */
const short = runFor('1s');
/** For tests that do not need full speed, to spare the machine. */
const limitedRate = '--rate=100';
const echoTarget = `tcp://${loopback}:${echo.port}`;

/** The outcome of a run. */
interface BenchResult {
  readonly code: number | null;
  readonly stderr: string;
  readonly stdout: string;
}

/** Runs `fairlead bench` to its end in this process, since starting a process costs most of the time. */
async function bench(args: readonly string[]): Promise<BenchResult> {
  const { code, stdout, stderr } = await runCommand(['bench', ...args]);
  return { code, stdout, stderr };
}

/** Runs `fairlead bench` in its own process. */
async function benchProcess(t: Test, args: readonly string[]): Promise<BenchResult> {
  const running = closeAfter(t, await RunningProcess.start(programs.cli, ['bench', ...args]));
  const { code } = await inTime('the program ends', running.exit);
  const stderr = running.logs.map(({ msg }) => msg).join('\n');
  return { code, stderr, stdout: running.stdout };
}

async function report(t: Test, args: readonly string[]) {
  const result = await bench([...args, ...short, '--json=-']);
  t.equal(result.code, 0, result.stderr);
  return JSON.parse(result.stdout);
}

const clientFlags = {
  'HTTP/1.1 over the UDS': ['--proxy', uds],
  'HTTP/1.1 over mTLS': [...mtls, limitedRate],
  'HTTP/2 over the UDS': ['--proxy', uds, '--proxy-protocol=http2', '--connections=2', limitedRate],
  'HTTP/2 over mTLS': [...mtls, '--proxy-protocol=http2', limitedRate],
};

for (const [name, flags] of Object.entries(clientFlags)) {
  t.test(`measures echoes by ${name}`, async (t) => {
    const figures = await report(t, [...flags, '--target', echoTarget, '--payload=1KiB']);
    t.match(figures, { mode: 'echo', failures: 0, errors: [], endedEarly: false, passed: true });
    t.ok(figures.operations > 10, `${figures.operations} messages`);
    t.equal(figures.bytes, figures.operations * 1024);
    const { p50Us, p90Us, p99Us, p999Us, maxUs } = figures.latency;
    const sorted = [p50Us, p90Us, p99Us, p999Us, maxUs];
    t.same(
      sorted,
      [...sorted].sort((a, b) => a - b),
      'percentiles grow',
    );
    t.ok(figures.samples.length >= 1);
    t.ok(figures.distribution.length > 3);
  });
}

t.test('measures echoes by gRPC if the server is in gRPC mode', async (t) => {
  const grpc = await startServer(t, { mode: 'grpc' });
  await startAgent(t, grpc.agentPort);
  await untilAgentsConnected(grpc);
  const flags = ['--proxy', `unix:${grpc.uds.path}`, '--proxy-protocol=grpc', limitedRate];
  const figures = await report(t, [...flags, '--target', echoTarget]);
  t.ok(figures.operations > 10);
  t.equal(figures.failures, 0);
});

t.test('counts each stream that it opens', async (t) => {
  const before = echo.connections;
  const figures = await report(t, ['--proxy', uds, '--target', echoTarget, '--mode=open']);
  t.ok(figures.operations > 5);
  t.ok(
    echo.connections - before >= figures.operations,
    'each stream was a connection to the target',
  );
});

t.test('counts the bytes of an upload and a download', async (t) => {
  const up = await report(t, [
    '--proxy',
    uds,
    '--target',
    `tcp://${loopback}:${sink.port}`,
    '--mode=upload',
  ]);
  t.ok(up.bytes > 1_000_000 && up.bytes <= sink.bytes + 16_000_000, `${up.bytes} bytes`);
  t.equal(up.latency, null);
  const args = ['bench-target', '--kind=source'];
  const source = closeAfter(t, await RunningProcess.start(programs.cli, args));
  const port = await eventually('the target prints where it listens', () => {
    return /listening on \S+:(\d+)$/m.exec(source.stdout)?.[1];
  });
  const down = await report(t, [
    '--proxy',
    uds,
    '--target',
    `tcp://${loopback}:${port}`,
    '--mode=download',
  ]);
  t.ok(down.bytes > 1_000_000);
  t.match(down, { mode: 'download', operations: 0, failures: 0 });
  source.kill('SIGTERM');
  t.same(await inTime('the program ends', source.exit), { code: 0, signal: null });
});

for (const flags of [[], ['--new-connections']]) {
  t.test(`keeps HTTP requests to the rate ${flags}`, async (t) => {
    const args = ['--proxy', uds, '--target', `http://${loopback}:${pod.port}/pods`, ...flags];
    const startMs = performance.now();
    const paced = await report(t, [...args, limitedRate]);
    // packages/client/test/load/http-load.test.ts tests the exact rate, in controlled time. Here a busy machine
    // can also send requests that were due before the measurement.
    const due = (performance.now() - startMs) / 10;
    t.match(paced, { mode: 'http', failures: 0 });
    const { operations } = paced;
    t.ok(operations > 5 && operations <= due + 4, `${operations} requests, ${due} were due`);
    const unpaced = await report(t, args);
    t.match(unpaced, { failures: 0 });
    t.ok(unpaced.operations > 5);
  });
}

t.test('applies an HTTP timeout below a second', async (t) => {
  const args = ['--proxy', uds, '--target', `http://${loopback}:${pod.port}/pods`];
  const quick = await report(t, [...args, '--timeout=900ms', limitedRate]);
  // On a busy machine a few requests can take that long.
  t.ok(quick.operations > quick.failures, `${quick.operations} requests`);
  // The sink reads requests and never answers.
  const silent = [
    '--proxy',
    uds,
    '--target',
    `http://${loopback}:${sink.port}/`,
    '--timeout=200ms',
  ];
  const result = await bench([...silent, ...runFor('2s'), '--json=-']);
  t.equal(result.code, 1, 'no request succeeded');
  const { failures, errors, operations } = JSON.parse(result.stdout);
  t.equal(operations, 0);
  t.ok(failures >= 4, `${failures} failures of 4 streams in two seconds`);
  t.match(errors, [{ code: 'timeout' }]);
});

t.test('verifies the certificate of an HTTPS target', async (t) => {
  const { kubelet } = pki;
  const target = await startKubeletTarget({
    tls: { ca: kubelet.ca, cert: kubelet.server.cert, key: kubelet.server.key },
  });
  t.teardown(() => target.close());
  const args = [
    ...['--proxy', uds, '--target', `https://${loopback}:${target.port}/pods`, limitedRate],
    ...['--target-cert', kubelet.client.certFile, '--target-key', kubelet.client.keyFile],
  ];
  const figures = await report(t, [...args, '--target-ca-cert', kubelet.caFile]);
  t.match(figures, { mode: 'https', failures: 0 });
  t.ok(figures.operations > 5);
  const unverified = await bench([...args, ...short]);
  t.equal(unverified.code, 1);
  t.match(unverified.stderr, /certificate of the peer was rejected.*--target-ca-cert/);
  t.equal((await bench([...args, ...short, '--target-insecure'])).code, 0);
});

t.test('prints each threshold, and exits with 1 if one is missed', async (t) => {
  const args = ['--proxy', uds, '--target', echoTarget, ...short, limitedRate];
  const kept = await bench([...args, '--fail-p99=10s', '--fail-errors=0.1%', '--min-rate=1']);
  t.equal(kept.code, 0, kept.stdout);
  const missed = await bench([...args, '--fail-p50=10s', '--min-rate=99999999']);
  t.equal(missed.code, 1);
  t.match(missed.stdout, /^passed +--fail-p50 10\.00 s: measured /m);
  t.match(missed.stdout, /^MISSED +--min-rate 99,999,999\/s: measured /m);
});

t.test('counts HTTP errors as failures', async (t) => {
  const target = `http://${loopback}:${pod.port}/no-such-page`;
  const result = await bench(['--proxy', uds, '--target', target, ...short, limitedRate]);
  t.equal(result.code, 1, 'no request succeeded');
  t.match(result.stdout, /http_404/);
});

t.test('writes self-contained reports as JSON and HTML', async (t) => {
  const json = join(directory.path, 'report.json');
  const html = join(directory.path, 'report.html');
  const files = ['--json', json, '--html', html];
  const result = await bench([
    '--proxy',
    uds,
    '--target',
    echoTarget,
    ...files,
    ...short,
    limitedRate,
  ]);
  t.equal(result.code, 0, result.stderr);
  t.match(result.stdout, /^latency +p50 .* p99\.9 .* max /m, 'the summary is still printed');
  t.equal(JSON.parse(await readFile(json, 'utf8')).tool, 'fairlead bench');
  const page = await readFile(html, 'utf8');
  t.equal(page.match(/<svg /g)?.length, 4, 'rate, latency, throughput, distribution');
  t.notMatch(page, /<script|<link|<img|NaN|Infinity|undefined/);
  const links = page.match(/\bhttps?:\/\/[^"\s<]+/g) ?? [];
  t.same(
    new Set(links),
    new Set(['http://www.w3.org/2000/svg']),
    'the only URL is the SVG namespace',
  );
});

t.test('exits with 1 and writes the reason to stderr only', async (t) => {
  const args = ['--proxy', uds, '--target', `tcp://${loopback}:${refused.port}`];
  const { code, stderr, stdout } = await benchProcess(t, [...args, ...short]);
  t.equal(code, 1);
  t.match(stderr, /target_refused.*listening/);
  t.equal(stdout, '');
});

t.test('Ctrl-C ends it early and prints what was measured', async (t) => {
  const args = ['bench', '--proxy', uds, '--target', echoTarget, '--duration=60s', '--warm-up=0s'];
  const running = closeAfter(t, await RunningProcess.start(programs.cli, args));
  await running.waitForLog(({ msg }) => /messages\/s.*errors$/.test(String(msg)));
  running.kill('SIGINT');
  t.equal((await inTime('the program ends', running.exit)).code, 0);
  t.match(running.stdout, /ended early/);
  t.match(running.stdout, /^messages +[1-9]/m);
});

t.test('--wait waits for an agent', async (t) => {
  const late = await startServer(t);
  const args = ['--proxy', `unix:${late.uds.path}`, '--target', echoTarget, ...short, limitedRate];
  const patient = benchProcess(t, [...args, '--wait=2m']);
  const impatient = await bench(args);
  t.equal(impatient.code, 1);
  t.match(impatient.stderr, /no_agent.*fairlead status/);
  await startAgent(t, late.agentPort);
  t.equal((await patient).code, 0);
});

const failures: Record<string, { args: string[]; code: 1 | 2; message: RegExp }> = {
  'a server that is down': {
    args: ['--proxy', `unix:${server.uds.path}.missing`, '--target', echoTarget],
    code: 1,
    message: /--proxy unix:\S+\.missing: the socket does not exist.*--uds-name/,
  },
  'a port where no process listens': {
    args: ['--proxy', `https://${loopback}:${refused.port}`, '--target', echoTarget],
    code: 1,
    message: /--proxy https:\S+: nothing listens there.*--server-port/,
  },
  'the admin port': {
    args: ['--proxy', `https://${loopback}:${server.adminPort}`, '--target', echoTarget],
    code: 1,
    message: /does not speak TLS.*not its agent, health or admin port/,
  },
  "a CA that is not the front end's": {
    args: ['--proxy', https, '--proxy-ca-cert', pki.agent.caFile, '--target', echoTarget],
    code: 1,
    message: /certificate of the peer was rejected.*--proxy-ca-cert/,
  },
  'no client certificate': {
    args: ['--proxy', https, '--proxy-ca-cert', frontend.caFile, '--target', echoTarget],
    code: 1,
    message: /no client certificate.*--proxy-cert/,
  },
  'no client certificate, by HTTP/2': {
    args: [
      ...['--proxy', https, '--proxy-ca-cert', frontend.caFile],
      ...['--proxy-protocol=http2', '--target', echoTarget],
    ],
    code: 1,
    message: /no client certificate.*--proxy-cert/,
  },
  'an expired client certificate': {
    args: [
      ...['--proxy', https, '--proxy-ca-cert', frontend.caFile, '--target', echoTarget],
      ...['--proxy-cert', frontend.expiredClient.certFile],
      ...['--proxy-key', frontend.expiredClient.keyFile],
    ],
    code: 1,
    message: /expired.*--proxy-cert/s,
  },
  'a target that refuses': {
    args: ['--proxy', uds, '--target', `tcp://${loopback}:${refused.port}`],
    code: 1,
    message: /target_refused.*listening/,
  },
  'a target that refuses, by HTTP/2': {
    args: [
      ...['--proxy', uds, '--proxy-protocol=http2'],
      ...['--target', `tcp://${loopback}:${refused.port}`],
    ],
    code: 1,
    message: /target_refused.*listening/,
  },
  'a target that is denied': {
    args: ['--proxy', uds, '--target', 'http://169.254.169.254/'],
    code: 1,
    message: /policy_denied.*fairlead why/,
  },
  'a target that echoes nothing': {
    args: ['--proxy', uds, '--target', `tcp://${loopback}:${sink.port}`, '--timeout=2s'],
    code: 1,
    message: /did not send a byte back.*bench-target/,
  },
  'a target that answers other bytes': {
    args: ['--proxy', uds, '--target', `tcp://${loopback}:${pod.port}`],
    code: 1,
    message: /did not send a byte back/,
  },
  'a target without TLS': {
    args: ['--proxy', uds, '--target', `https://${loopback}:${pod.port}`],
    code: 1,
    message: /TLS with the target failed.*http:\/\//,
  },
  'a front end over plain HTTP': {
    args: ['--proxy', `http://${loopback}:1`, '--target', echoTarget],
    code: 2,
    message: /--proxy.*https:\/\/HOST:PORT/,
  },
  'a socket path that is too long': {
    args: ['--proxy', `unix:/${'x'.repeat(120)}`, '--target', echoTarget],
    code: 2,
    message: /--proxy.*121 bytes, at most 107/,
  },
  'a file that is missing': {
    args: [...mtls, '--proxy-ca-cert=/no/such.crt', '--target', echoTarget],
    code: 2,
    message: /--proxy-ca-cert: \/no\/such\.crt: file not found/,
  },
  'a key of another certificate': {
    args: [...mtls, '--proxy-key', pki.foreign.client.keyFile, '--target', echoTarget],
    code: 2,
    message: /--proxy-key.*does not match.*--proxy-cert/,
  },
  'TLS files for a socket': {
    args: ['--proxy', uds, '--proxy-cert', frontend.caFile, '--target', echoTarget],
    code: 2,
    message: /--proxy-cert.*no TLS/,
  },
  'a target without a port': {
    args: ['--proxy', uds, '--target', 'tcp://somewhere'],
    code: 2,
    message: /--target.*HOST:PORT/,
  },
  'a rate for an upload': {
    args: ['--proxy', uds, '--target', echoTarget, '--mode=upload', '--rate=5'],
    code: 2,
    message: /--rate/,
  },
  'a method that does not exist': {
    args: ['--proxy', uds, '--target', `http://${loopback}:${pod.port}`, '--method=FOO'],
    code: 2,
    message: /--method "FOO".*GET, HEAD/,
  },
  'a report that cannot be written': {
    args: ['--proxy', uds, '--target', echoTarget, '--html=/no/such/page.html'],
    code: 2,
    message: /--html.*\/no\/such does not exist/,
  },
  'a typo': {
    args: ['--proxy', uds, '--target', echoTarget, '--fail-p9=5ms'],
    code: 2,
    message: /--fail-p9: did you mean --fail-p9/,
  },
};

t.test('prints one line with the cure if it cannot measure', async (t) => {
  for (const [name, { args, code, message }] of Object.entries(failures)) {
    await t.test(name, async (t) => {
      const result = await bench([...args, ...short]);
      t.equal(result.code, code);
      t.match(result.stderr, message);
      t.notMatch(result.stderr, /\bat .*\.js|Error:|error:[0-9A-F]{8}/, 'no stack');
      t.equal(result.stdout, '');
    });
  }
});
