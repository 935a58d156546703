/**
 * Real programs, and a process that attacks them, while a stream of somebody else goes on. `npm test` gives
 * some floods half a second each; `npm run test:floods` gives all of them more, and prints the table of docs/security.md.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  connectThrough,
  countOpenFiles,
  readProcessStats,
  startEchoTarget,
  watchProcess,
} from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { loopback, startAgent, startServer, testPki } from '../e2e/fixture.ts';
import type { AttackPlace } from './attack-place.ts';
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
  { name: 'DATA beyond credit', tells: ended('flow_control_error'), isLong: true },
  { name: 'DATA after FIN', tells: ended('stream_closed') },
  { name: 'unknown stream IDs', tells: ended('stream_id_error'), isLong: true },
  { name: 'garbage instead of HELLO', tells: ended('protocol_error'), isLong: true },
  { name: 'HELLO over its limit', tells: ended('protocol_error') },
  { name: 'HELLO at its limit', isLong: true },
  { name: 'PING flood' },
  { name: 'RESET flood' },
  { name: 'GOAWAY storm', tells: { msg: 'agent drains' }, isLong: true },
  { name: 'OPENs without end', count: 1_000_000, seconds: 15 },
  { name: 'OPENs, answers unread', tells: ended('limit_reached'), leastSeconds: 20, isLong: true },
  { name: 'rapid reset, HTTP/2 CONNECT' },
  { name: 'rapid reset, gRPC' },
  { name: 'HTTP/2 PING flood', isLong: true },
  { name: 'HTTP/2 SETTINGS flood', isLong: true },
  { name: 'slow-loris on five ports', seconds: 13, isLong: true },
  { name: '15,000 silent connections', seconds: 14, isLong: true },
  { name: '15,000 silent connections, UDS', seconds: 14, isLong: true },
  { name: 'weak and broken TLS', isLong: true },
  { name: 'streams opened and leaked', count: 86_400, seconds: 20 },
  { name: 'gRPC dials in a row', count: 5_000, seconds: 30 },
];

const run = promisify(execFile);
const attacker = join(import.meta.dirname, 'attack-main.js');

const rows: string[] = [];
const ms = (value: number) => value.toFixed(value < 10 ? 1 : 0);

for (const flood of floods) {
  if ((flood.isLong && !isFull) || !only.test(flood.name)) continue;
  t.test(flood.name, (t) => withstands(t, flood));
}

t.test('the figures', { skip: isFull ? false : 'npm run test:floods prints them' }, async (t) => {
  t.comment(
    '| flood | count | p99 before | p99 during | longest | memory before / peak / after | descriptors before / peak / after |',
  );
  for (const row of rows) t.comment(row);
});

async function withstands(t: Test, flood: Flood): Promise<void> {
  const target = await startEchoTarget();
  t.teardown(() => target.close());
  const server = await startServer(t, { mode: undefined });
  const agent = await startAgent(t, server.agentPort);
  await server.process.waitForLog(({ msg }) => msg === 'agent connected');
  const { agent: agentPki } = await testPki();
  const place: AttackPlace = {
    udsPath: server.uds.path,
    frontEndPort: server.tcp.port,
    agentPort: server.agentPort,
    healthPort: server.healthPort,
    adminPort: server.adminPort,
    agentTls: { ca: agentPki.ca, cert: agentPki.client.cert, key: agentPki.client.key },
    target: `${loopback}:${target.port}`,
  };
  const { socket } = await connectThrough({ via: server.uds, target: place.target });
  const watch = new EchoWatch(socket);
  const { pid } = server.process;
  const rest = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  await rest(isFull ? 1.5 : 0.3);
  const before = watch.take();
  const memory = readProcessStats(pid).rssBytes;
  const files = countOpenFiles(pid);

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
  clearInterval(counting);
  const { maxRssBytes } = usage();
  const { count } = JSON.parse(stdout) as { count: number };

  t.ok(count > 0, `${count} were sent`);
  t.equal(watch.failure, undefined, 'the healthy stream goes on');
  t.ok(during.count > 0 && during.maxMs < 2_000, `${ms(during.maxMs)} ms at the longest`);
  if (flood.tells) {
    const { msg, code } = flood.tells;
    await server.process.waitForLog((line) => line.msg === msg && (!code || line.code === code));
  }
  // What is left of it goes: nothing of an attack is there for ever.
  const goneByMs = performance.now() + 15_000;
  while (countOpenFiles(pid) > files && performance.now() < goneByMs) await rest(0.1);
  t.ok(countOpenFiles(pid) <= files, `${countOpenFiles(pid)} descriptors, ${files} before`);
  await rest(isFull ? 2 : 0);
  const after = readProcessStats(pid).rssBytes;
  t.ok(maxRssBytes < memory + 512 * MiB, `${Math.round(maxRssBytes / MiB)} MiB at the peak`);
  const again = await connectThrough({ via: server.uds, target: place.target });
  t.equal(again.status, 200, 'new streams are served');
  again.socket.destroy();
  await watch.stop();
  process.kill(agent.process.pid, 0);
  const mib = [memory, maxRssBytes, after].map((bytes) => Math.round(bytes / MiB)).join(' / ');
  rows.push(
    `| ${flood.name} | ${count.toLocaleString('en')} | ${ms(before.p99Ms)} ms | ${ms(during.p99Ms)} ms | ${ms(during.maxMs)} ms | ${mib} MiB | ${files} / ${peakFiles} / ${countOpenFiles(pid)} |`,
  );
  t.comment(rows.at(-1)!);
}
