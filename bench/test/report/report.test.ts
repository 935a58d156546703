import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  judge,
  measures,
  mergeResults,
  plan,
  ratioTables,
  readResults,
  textTables,
  writeReport,
  writeResults,
} from '@fairlead/bench/internal';
import { makeTemporaryDirectory } from '@fairlead/testkit';
import t from 'tap';
import { cannedMeasure, cannedResults, rates } from './canned-results.ts';

const up = cannedMeasure('bulk-up-1', {
  fairlead: rates(90, 500, 100, 95, 105),
  'tls-relay': rates(110, 100, 90, 100, 100),
  'a<b': [],
});
const down = cannedMeasure('bulk-down-1', {
  fairlead: rates(90, 90, 90, 90, 90),
  'tls-relay': rates(100, 100, 100, 100, 100),
});
const first = cannedResults([up], '2026-01-01T00:00:00.000Z');
const second = cannedResults([down], '2026-01-01T00:01:00.000Z');

t.test(
  'a report shows medians, bars, failures, missing systems, and a chart for each measure',
  async (t) => {
    const directory = await makeTemporaryDirectory();
    t.teardown(() => directory.close());
    await writeReport(mergeResults([first, second]), directory.path);
    const report = await readFile(join(directory.path, 'RESULTS.md'), 'utf8');
    t.match(report, 'Abacus, 2 cores');
    t.match(report, /\| fairlead \| 100 \|/, 'the median, not the mean');
    t.match(report, /\| bulk-up-1 \| rate at least 0.95 × tls-relay \| 1.00 \| met \|/);
    t.match(
      report,
      /\| bulk-down-1 \| rate at least 0.95 × tls-relay \| 0.90 \| \*\*not met\*\* \|/,
    );
    t.match(report, /\| frp \| \| not installed\. Run: `bench\/peers\/build-go-peers\.sh frp` \|/);
    t.match(report, '- a<b failed in a round: it broke\n', 'the first line of the failure');
    t.equal(report.match(/npm run bench:full/g)?.length, 1, 'parts of one command share a line');
    for (const name of ['bulk-up-1', 'bulk-down-1']) {
      t.match(report, `](charts/${name}.svg)`);
      const chart = await readFile(join(directory.path, 'charts', `${name}.svg`), 'utf8');
      t.match(chart, /^<svg [^>]*>[\s\S]*fairlead[\s\S]*<\/svg>\n$/);
    }
  },
);

t.test(
  "a bar fails if a round of Fairlead failed, and is not measured without Fairlead's figures",
  async (t) => {
    const broken = cannedMeasure('bulk-up-1', { fairlead: [], 'tls-relay': rates(100) });
    const verdicts = judge(cannedResults([broken], '2026-01-01T00:00:00.000Z'));
    t.equal(verdicts.find(({ measure }) => measure === 'bulk-up-1')?.state, 'failed');
    t.equal(verdicts.find(({ measure }) => measure === 'open-20')?.state, 'not measured');
  },
);

t.test('a bar is not met if memory is not released or a rate is too low', async (t) => {
  const idle = cannedMeasure('idle-streams', {
    fairlead: [{ 'server-open': 8, 'agent-open': 6, 'server-closed': 1.1, 'agent-closed': -0.3 }],
  });
  const close = cannedMeasure('http-close-go', { fairlead: rates(104), konnectivity: rates(100) });
  const bulk = cannedMeasure('bulk-down-100', { fairlead: rates(310), konnectivity: rates(100) });
  const verdicts = judge(cannedResults([idle, close, bulk], '2026-01-01T00:00:00.000Z'));
  const stateOf = (measure: string, begin: string) =>
    verdicts.find((one) => one.measure === measure && one.bar.startsWith(begin))?.state;
  t.equal(stateOf('idle-streams', 'server-closed'), 'not met');
  t.equal(stateOf('idle-streams', 'agent-closed'), 'met');
  t.equal(stateOf('http-close-go', 'rate at least 1.1 × konnectivity'), 'not met');
  t.equal(stateOf('bulk-down-100', 'rate at least 3 × konnectivity'), 'met');
  for (const measure of ['bulk-up-10', 'bulk-down-10', 'https-keepalive', 'https-close']) {
    t.equal(stateOf(measure, 'rate'), 'not measured');
  }
});

t.test(
  'a bar can have another limit on Node 20, and compare another front end of ours',
  async (t) => {
    const grpc = { 'fairlead-grpc': rates(115), 'konnectivity-grpc': rates(100) };
    const results = cannedResults([cannedMeasure('open-20-go', grpc)], '2026-01-01T00:00:00.000Z');
    const bar = 'rate at least 1.2 (Node 20: 1.1) × konnectivity-grpc (fairlead-grpc)';
    const stateOn = (systemsNode: string) =>
      judge({ ...results, machine: { ...results.machine, systemsNode } }).find(
        (one) => one.measure === 'open-20-go' && one.bar === bar,
      )?.state;
    t.equal(stateOn('v20.20.0'), 'met');
    t.equal(stateOn('v26.1.0'), 'not met');
  },
);

t.test(
  'results are read from their file as they were written, with an infinite latency too',
  async (t) => {
    const directory = await makeTemporaryDirectory();
    t.teardown(() => directory.close());
    const file = join(directory.path, 'results.json');
    const echo = cannedMeasure('echo-1', {
      fairlead: [{ rate: 0, p99: Number.POSITIVE_INFINITY }],
    });
    const results = cannedResults([echo], '2026-01-01T00:00:00.000Z');
    writeResults(file, results);
    t.same(readResults(file), results);
    t.match(textTables(readResults(file)), '∞');
  },
);

t.test('results of different machines or the same measure cannot be merged', async (t) => {
  const elsewhere = { ...second, machine: { ...second.machine, cores: 64 } };
  t.throws(() => mergeResults([first, elsewhere]), /different machines/);
  t.throws(() => mergeResults([first, first]), /two files have results of bulk-up-1/);
  t.throws(() => mergeResults([]), /no results/);
});

t.test(
  'a comparison gives a verdict only if it has five rounds and all of them agree',
  async (t) => {
    const compared = (base: number[], candidate: number[]) => {
      const parts = { base: rates(...base), candidate: rates(...candidate) };
      const results = cannedResults(
        [cannedMeasure('bulk-up-1', parts)],
        '2026-01-01T00:00:00.000Z',
      );
      const runs = [{ ...results.runs[0]!, rounds: base.length }];
      return ratioTables({ ...results, runs }, 'base', 'candidate');
    };
    const row = /rate MB\/s +100 +120 +1\.200 +1\.20\.\.1\.20/;
    const better = compared([100, 100, 100, 100, 100], [120, 120, 120, 120, 120]);
    t.match(better, row);
    t.match(better, /1\.20 +better$/m);
    t.match(compared([120, 120, 120, 120, 120], [100, 100, 100, 100, 100]), / worse$/m);
    const mixed = compared([100, 100, 100, 100, 100], [120, 120, 120, 120, 99]);
    t.notMatch(mixed, / (better|worse)$/m, 'one round disagrees');
    const few = compared([100, 100], [120, 120]);
    t.notMatch(few, / (better|worse)$/m);
    t.match(few, 'No verdicts');
  },
);

t.test('the full plan has every measure, and every system that a bar compares', async (t) => {
  const everything = plan('everything');
  t.same(
    everything.map(({ measure }) => measure.name),
    measures.map(({ name }) => name),
  );
  const seconds = everything.reduce((sum, part) => sum + part.estimatedSeconds, 0);
  t.ok(seconds < 60 * 60, `everything takes ${Math.round(seconds / 60)} minutes`);
  for (const { measure, systems } of plan('bars')) {
    const inFull = everything.find((part) => part.measure === measure)?.systems ?? [];
    for (const system of systems) t.ok(inFull.includes(system), `${measure.name}: ${system.name}`);
  }
});
