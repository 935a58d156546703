/**
 * Runs test files (the main suite if none is named) and prints the share of lines and branches that ran, by package.
 *
 *   node scripts/coverage.mjs [ARGUMENTS OF THE TEST COMMAND...]
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'coverage-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));

const run = (args, env = {}) =>
  spawnSync(process.execPath, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });

const raw = join(directory, 'raw');
const harness = ['build/test/harness/main.js', ...process.argv.slice(2)];
const tests = run(harness, { NODE_V8_COVERAGE: raw });
const report = run([
  fileURLToPath(import.meta.resolve('c8/bin/c8.js')),
  'report',
  `--temp-directory=${raw}`,
  `--report-dir=${directory}`,
  '--reporter=json-summary',
  '--merge-async',
  '--exclude-after-remap',
  '--include=packages/*/src/**',
]);
if (report.status !== 0) process.exit(report.status ?? 1);

const summary = readFileSync(join(directory, 'coverage-summary.json'), 'utf8');
const { total, ...files } = JSON.parse(summary);
const packages = new Map();
for (const [file, { lines, branches }] of Object.entries(files)) {
  const [, name] = relative(root, file).split(sep);
  const sums = packages.get(name) ?? {
    lines: { covered: 0, total: 0 },
    branches: { covered: 0, total: 0 },
  };
  packages.set(name, sums);
  for (const [kind, part] of Object.entries({ lines, branches })) {
    sums[kind].covered += part.covered;
    sums[kind].total += part.total;
  }
}

const share = ({ covered, total: count }) => `${((100 * covered) / count).toFixed(1)} %`;
const row = (name, lines, branches) =>
  console.log(`${name.padEnd(16)}${lines.padStart(10)}${branches.padStart(10)}`);
row('\npackage', 'lines', 'branches');
for (const name of [...packages.keys()].sort()) {
  const { lines, branches } = packages.get(name);
  row(name, share(lines), share(branches));
}
row('all', share(total.lines), share(total.branches));
process.exitCode = tests.status ?? 1;
