/**
 * A process attacks real programs while another client uses a stream. Each flood takes half a second in
 * `npm run test:attacks`, and longer in `npm run test:floods`, which also prints the table of docs/security.md.
 * The tests compare the healthy stream with one without a tunnel, since a busy machine slows both.
 */
import { execFile } from 'node:child_process';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  connectThrough,
  countOpenFiles,
  eventually,
  type LogLine,
  readProcessStats,
  startEchoTarget,
  watchProcess,
} from '@fairlead/testkit';
import t, { type Test } from 'tap';
import {
  loopback,
  type RunningAgent,
  type RunningServer,
  startAgent,
  startServer,
  testPki,
} from '../programs/fixture.ts';
import type { AttackedServer } from './attack-run.ts';
import { EchoWatch } from './echo-watch.ts';

const secondsEach = Number(process.env.FLOOD_SECONDS ?? 0.5);
/** Selects floods by a regular expression. */
const only = new RegExp(process.env.FLOOD_ONLY ?? '');
const isFull = secondsEach > 1;
const MiB = 1024 ** 2;

interface Flood {
  readonly name: string;
  /** A line in the server's log that reports the flood. */
  readonly logs?: { readonly msg: string; readonly code?: string };
  /** Number of frames, requests or connections; by default, as many as the time allows. */
  readonly count?: number;
  /** Time in full runs, if the flood needs more than others. */
  readonly seconds?: number;
  /** Minimum time, for an attack that ends without a deadline. */
  readonly minSeconds?: number;
  /** Runs only in full runs. */
  readonly isLong?: boolean;
}

const ended = (code: string) => ({ msg: 'agent disconnected', code });

const floods: readonly Flood[] = [
  { name: 'WINDOW overflows', logs: ended('flow_control_error') },
  { name: 'DATA beyond credit', logs: ended('flow_control_error') },
  { name: 'DATA after FIN', logs: ended('stream_closed') },
  { name: 'unknown stream IDs', logs: ended('stream_id_error') },
  { name: 'garbage instead of HELLO', logs: ended('protocol_error') },
  { name: 'HELLO over its limit', logs: ended('protocol_error') },
  { name: 'HELLO at its limit' },
  { name: 'PING flood' },
  { name: 'RESET flood' },
  { name: 'GOAWAY storm', logs: { msg: 'agent drains' } },
  { name: 'OPENs without end', count: 1_000_000, seconds: 30 },
  { name: 'OPENs, answers unread', logs: ended('limit_reached'), minSeconds: 20 },
  { name: 'rapid reset, HTTP/2 CONNECT' },
  { name: 'rapid reset, each repeated', isLong: true },
  { name: 'rapid reset, gRPC' },
  { name: 'HTTP/2 PING flood' },
  { name: 'HTTP/2 SETTINGS flood' },
  { name: 'HTTP/2 PINGs, answers unread' },
  { name: 'HTTP/2 SETTINGS, answers unread' },
  { name: 'slow-loris on five ports', seconds: 20 },
  { name: '15,000 silent connections', seconds: 20, isLong: true },
  { name: '15,000 silent connections, UDS', seconds: 20, isLong: true },
  { name: 'weak and broken TLS' },
  { name: 'streams opened and leaked', count: 86_400, seconds: 120 },
  { name: 'gRPC dials in a row', count: 5_000, seconds: 60 },
];

const run = promisify(execFile);
const attacker = join(import.meta.dirname, 'attack-main.js');

const rows: string[] = [];
const ms = (value: number) => value.toFixed(value < 10 ? 1 : 0);
/** Enough messages on the healthy stream for a measurement, and to show progress. */
const minRoundTrips = 20;
/**
 * While one message passes the tunnel, at most this many pass without a tunnel, one after the other with pauses
 * of 2 ms. On an idle machine this is less than two seconds.
 */
const maxDirectMessages = 500;

/** Short runs share a server, since it takes longer to start than a flood. Full runs measure a new one each. */
const shared = isFull ? undefined : await startSetup(t);

for (const flood of floods) {
  if ((flood.isLong && !isFull) || !only.test(flood.name)) continue;
  t.test(`withstands ${flood.name}`, (t) => withstand(t, flood));
}

if (shared) {
  t.test('closes all descriptors after the floods', (t) =>
    untilFilesClosed(t, shared.server.process.pid, shared.files),
  );
}

if (isFull) {
  t.teardown(() => {
    t.comment(
      '| flood | count | p99 before | p99 during | longest | memory before / peak / after | descriptors before / peak / after |',
    );
    for (const row of rows) t.comment(row);
  });
}

interface Setup {
  readonly attacked: AttackedServer;
  /** The route of the healthy stream. */
  readonly via: Parameters<typeof connectThrough>[0];
  readonly server: RunningServer;
  readonly agent: RunningAgent;
  /** The target's port. A connection without a tunnel shows how busy the machine is. */
  readonly targetPort: number;
  /** The server's open descriptors before any flood. */
  readonly files: number;
}

async function startSetup(t: Test): Promise<Setup> {
  const target = await startEchoTarget();
  t.teardown(() => target.close());
  const server = await startServer(t, { mode: undefined });
  const agent = await startAgent(t, server.agentPort);
  await server.process.waitForLog(({ msg }) => msg === 'agent connected');
  const { agent: agentPki } = await testPki();
  const { ca, client } = agentPki;
  const attacked: AttackedServer = {
    udsPath: server.uds.path,
    frontEndPort: server.tcp.port,
    agentPort: server.agentPort,
    healthPort: server.healthPort,
    adminPort: server.adminPort,
    agentTls: { ca, cert: client.cert, key: client.key },
  };
  const via = { via: server.uds, target: `${loopback}:${target.port}` };
  const files = countOpenFiles(server.process.pid);
  return { attacked, via, server, agent, targetPort: target.port, files };
}

const pause = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1_000));

/** Waits until the server has closed the descriptors of an attack. */
async function untilFilesClosed(t: Test, pid: number, files: number): Promise<void> {
  await eventually(`the server has no more than ${files} descriptors`, () => {
    const now = countOpenFiles(pid);
    if (now > files) throw new Error(`it has ${now}`);
    return true;
  });
  t.pass(`no more than ${files} descriptors, as before the floods`);
}

async function withstand(t: Test, flood: Flood): Promise<void> {
  const { attacked, via, server, agent, targetPort } = shared ?? (await startSetup(t));
  const { pid } = server.process;
  const { socket } = await connectThrough(via);
  const direct = new EchoWatch(createConnection(targetPort, loopback));
  const watch = new EchoWatch(socket, direct);
  await watch.progress(minRoundTrips);
  await direct.progress(minRoundTrips);
  if (isFull) await pause(3);
  const before = watch.take();
  direct.take();
  const memory = readProcessStats(pid).rssBytes;
  const files = countOpenFiles(pid);

  const isReport = ({ msg, code }: LogLine) =>
    msg === flood.logs?.msg && (!flood.logs?.code || code === flood.logs.code);
  const reportsBefore = server.process.logs.filter(isReport).length;

  const usage = watchProcess(pid);
  let peakFiles = files;
  const counting = setInterval(() => {
    peakFiles = Math.max(peakFiles, countOpenFiles(pid));
  }, 100);
  const seconds = Math.max(
    isFull ? (flood.seconds ?? secondsEach) : secondsEach,
    flood.minSeconds ?? 0,
  );
  const { stdout } = await run(process.execPath, [
    ...[attacker, flood.name, JSON.stringify(attacked), String(seconds)],
    String(flood.count ?? Number.MAX_SAFE_INTEGER),
  ]);
  const during = watch.take();
  const directMaxMs = direct.take().maxMs;
  clearInterval(counting);
  const { maxRssBytes } = usage();
  const { count } = JSON.parse(stdout) as { count: number };

  t.ok(count > 0, `${count} were sent`);
  t.ok(during.count > 0, `${during.count} messages returned`);
  t.ok(
    during.mostBesides < maxDirectMessages,
    `${ms(during.maxMs)} ms at the longest; up to ${during.mostBesides} messages passed meanwhile without a tunnel, one took ${ms(directMaxMs)} ms`,
  );
  await watch.progress(minRoundTrips);
  t.equal(watch.failure, undefined, 'the healthy stream is still open');
  if (flood.logs) {
    let reports = 0;
    await server.process.waitForLog((line) => isReport(line) && ++reports > reportsBefore);
  }
  if (isFull) {
    await untilFilesClosed(t, pid, files);
    await pause(5);
  }
  const after = readProcessStats(pid).rssBytes;
  t.ok(maxRssBytes < memory + 512 * MiB, `${Math.round(maxRssBytes / MiB)} MiB at the peak`);
  const again = await connectThrough(via);
  t.equal(again.status, 200, 'new streams are served');
  again.socket.destroy();
  await watch.stop();
  await direct.stop();
  process.kill(agent.process.pid, 0);
  const mib = [memory, maxRssBytes, after].map((bytes) => Math.round(bytes / MiB)).join(' / ');
  const descriptors = `${files} / ${peakFiles} / ${countOpenFiles(pid)}`;
  const cells = [
    ...[flood.name, count.toLocaleString('en'), `${ms(before.p99Ms)} ms`, `${ms(during.p99Ms)} ms`],
    ...[`${ms(during.maxMs)} ms`, `${mib} MiB`, descriptors],
  ];
  rows.push(`| ${cells.join(' | ')} |`);
  t.comment(rows.at(-1)!);
}
