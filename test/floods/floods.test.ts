/**
 * Real programs, and a process that attacks them, while a stream of another client goes on. `npm run test:attacks`
 * gives each flood half a second; `npm run test:floods` gives them more, and prints the table of docs/security.md.
 * What is judged is the healthy stream's progress, not its latency: a busy machine adds to that.
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
import type { AttackPlace } from './attack-run.ts';
import { EchoWatch } from './echo-watch.ts';

const secondsEach = Number(process.env.FLOOD_SECONDS ?? 0.5);
/** Which of them, as a regular expression. */
const only = new RegExp(process.env.FLOOD_ONLY ?? '');
const isFull = secondsEach > 1;
const MiB = 1024 ** 2;

interface Flood {
  readonly name: string;
  /** A line of the server's log that tells of it. */
  readonly tells?: { readonly msg: string; readonly code?: string };
  /** How many frames, requests or connections; without it, as many as the time allows. */
  readonly count?: number;
  /** In full runs, if it needs more time than others. */
  readonly seconds?: number;
  /** For an attack that ends by itself. */
  readonly leastSeconds?: number;
  /** Only in full runs. */
  readonly isLong?: boolean;
}

const ended = (code: string) => ({ msg: 'agent disconnected', code });

const floods: readonly Flood[] = [
  { name: 'WINDOW overflows', tells: ended('flow_control_error') },
  { name: 'DATA beyond credit', tells: ended('flow_control_error') },
  { name: 'DATA after FIN', tells: ended('stream_closed') },
  { name: 'unknown stream IDs', tells: ended('stream_id_error') },
  { name: 'garbage instead of HELLO', tells: ended('protocol_error') },
  { name: 'HELLO over its limit', tells: ended('protocol_error') },
  { name: 'HELLO at its limit' },
  { name: 'PING flood' },
  { name: 'RESET flood' },
  { name: 'GOAWAY storm', tells: { msg: 'agent drains' } },
  { name: 'OPENs without end', count: 1_000_000, seconds: 30 },
  { name: 'OPENs, answers unread', tells: ended('limit_reached'), leastSeconds: 20 },
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
/** Messages of the healthy stream that make a figure, or show that it makes progress. */
const leastTrips = 20;
/** How long one message can take on an idle machine. */
const longestMs = 5_000;
/** How much more a busy machine can add to it than to a message that passes through no server. */
const loadFactor = 20;

/** One server for all, but for the figures: to start one takes longer than a short flood. */
const shared = isFull ? undefined : await startStage(t);

for (const flood of floods) {
  if ((flood.isLong && !isFull) || !only.test(flood.name)) continue;
  t.test(flood.name, (t) => withstands(t, flood));
}

if (shared) {
  t.test('nothing is left of them', (t) => lessFiles(t, shared.server.process.pid, shared.files));
}

if (isFull) {
  t.teardown(() => {
    t.comment(
      '| flood | count | p99 before | p99 during | longest | memory before / peak / after | descriptors before / peak / after |',
    );
    for (const row of rows) t.comment(row);
  });
}

interface Stage {
  readonly place: AttackPlace;
  /** A stream of another client. */
  readonly via: Parameters<typeof connectThrough>[0];
  readonly server: RunningServer;
  readonly agent: RunningAgent;
  /** Of the target: a stream to it without a tunnel shows how busy the machine is. */
  readonly targetPort: number;
  /** Before any flood. */
  readonly files: number;
}

async function startStage(t: Test): Promise<Stage> {
  const target = await startEchoTarget();
  t.teardown(() => target.close());
  const server = await startServer(t, { mode: undefined });
  const agent = await startAgent(t, server.agentPort);
  await server.process.waitForLog(({ msg }) => msg === 'agent connected');
  const { agent: agentPki } = await testPki();
  const { ca, client } = agentPki;
  const place: AttackPlace = {
    udsPath: server.uds.path,
    frontEndPort: server.tcp.port,
    agentPort: server.agentPort,
    healthPort: server.healthPort,
    adminPort: server.adminPort,
    agentTls: { ca, cert: client.cert, key: client.key },
  };
  const via = { via: server.uds, target: `${loopback}:${target.port}` };
  const files = countOpenFiles(server.process.pid);
  return { place, via, server, agent, targetPort: target.port, files };
}

const rest = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1_000));

/** Everything that an attack leaves behind goes away. */
async function lessFiles(t: Test, pid: number, files: number): Promise<void> {
  await eventually(`the server holds no more than ${files} descriptors`, () => {
    const now = countOpenFiles(pid);
    if (now > files) throw new Error(`it holds ${now}`);
    return true;
  });
  t.pass(`no more than the ${files} descriptors from before`);
}

async function withstands(t: Test, flood: Flood): Promise<void> {
  const { place, via, server, agent, targetPort } = shared ?? (await startStage(t));
  const { pid } = server.process;
  const { socket } = await connectThrough(via);
  const watch = new EchoWatch(socket);
  const direct = new EchoWatch(createConnection(targetPort, loopback));
  await watch.progress(leastTrips);
  await direct.progress(leastTrips);
  if (isFull) await rest(3);
  const before = watch.take();
  direct.take();
  const memory = readProcessStats(pid).rssBytes;
  const files = countOpenFiles(pid);

  const tells = ({ msg, code }: LogLine) =>
    msg === flood.tells?.msg && (!flood.tells?.code || code === flood.tells.code);
  const toldBefore = server.process.logs.filter(tells).length;

  const usage = watchProcess(pid);
  let peakFiles = files;
  const counting = setInterval(() => {
    peakFiles = Math.max(peakFiles, countOpenFiles(pid));
  }, 100);
  const seconds = Math.max(
    isFull ? (flood.seconds ?? secondsEach) : secondsEach,
    flood.leastSeconds ?? 0,
  );
  const { stdout } = await run(process.execPath, [
    ...[attacker, flood.name, JSON.stringify(place), String(seconds)],
    String(flood.count ?? Number.MAX_SAFE_INTEGER),
  ]);
  const during = watch.take();
  const directMaxMs = direct.take().maxMs;
  clearInterval(counting);
  const { maxRssBytes } = usage();
  const { count } = JSON.parse(stdout) as { count: number };

  t.ok(count > 0, `${count} were sent`);
  t.ok(during.count > 0, `${during.count} messages came back`);
  t.ok(
    during.maxMs < longestMs + loadFactor * directMaxMs,
    `${ms(during.maxMs)} ms at the longest, ${ms(directMaxMs)} ms without a tunnel`,
  );
  await watch.progress(leastTrips);
  t.equal(watch.failure, undefined, 'the healthy stream goes on');
  if (flood.tells) {
    let told = 0;
    await server.process.waitForLog((line) => tells(line) && ++told > toldBefore);
  }
  if (isFull) {
    await lessFiles(t, pid, files);
    await rest(5);
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
