/**
 * Changes the code where a silent error hurts most, one small change (a "mutant") at a time, and prints which changes
 * no test notices.
 *
 *   node scripts/mutation.mjs [--directory DIR] [--jobs N] [AREA...]      (default: all areas)
 *
 * Stryker works in a copy of the repository, which has an installation of its own: it rewrites sources in place, and
 * it brings more than a hundred packages. `--directory` keeps the copy, so that the next run need not install again.
 */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { areas } from './mutation-areas.mjs';

/** The last release line that runs on Node 20. */
const stryker = ['@stryker-mutator/core@9.6.1', '@stryker-mutator/tap-runner@9.6.1'];
const lowestScore = 80;
const root = fileURLToPath(new URL('../', import.meta.url));

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { directory: { type: 'string' }, jobs: { type: 'string' } },
});
const unknown = positionals.find((name) => !(name in areas));
if (unknown !== undefined) {
  console.error(`there is no area ${unknown}; choose from ${Object.keys(areas).join(', ')}`);
  process.exit(2);
}
const names = positionals.length > 0 ? positionals : Object.keys(areas);

const copy = options.directory
  ? resolve(options.directory)
  : mkdtempSync(join(tmpdir(), 'mutation-'));
if (!options.directory) process.on('exit', () => rmSync(copy, { recursive: true, force: true }));
copySources();
install();

let lowest = 100;
for (const name of names) lowest = Math.min(lowest, mutate(name, areas[name]));
process.exitCode = lowest < lowestScore ? 1 : 0;

function run(command, args, options = {}) {
  const { status, error, stdout } = spawnSync(command, args, {
    cwd: copy,
    stdio: 'inherit',
    encoding: 'utf8',
    ...options,
  });
  if (error) throw error;
  if (status !== 0) {
    console.error(`${command} ${args[0]} failed with exit code ${status}`);
    process.exit(1);
  }
  return stdout;
}

/** Copies what git tracks or would track, as it is in the working tree. */
function copySources() {
  const list = run('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for (const path of new Set(list.split('\0'))) {
    if (path === '' || !existsSync(join(root, path))) continue;
    mkdirSync(dirname(join(copy, path)), { recursive: true });
    cpSync(join(root, path), join(copy, path));
  }
}

function install() {
  if (existsSync(join(copy, 'node_modules/@stryker-mutator/core'))) return;
  run('npm', ['ci', '--no-audit', '--no-fund', '--silent']);
  run('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--silent', ...stryker]);
}

/** @returns the share of mutants, in percent, that a test notices */
function mutate(name, { mutate: sources, tests }) {
  const startedAtMs = performance.now();
  // Stryker restores sources with times before its build. Without new times, `tsc -b` would keep what it built from the
  // mutants of the earlier area, and they would run together with those of this one.
  copySources();
  const report = join(copy, `mutation-${name}.json`);
  const config = join(copy, 'stryker.config.json');
  const compiled = tests.map((path) => `build/${path.replace(/\.ts$/, '.js')}`);
  writeFileSync(
    config,
    JSON.stringify({
      testRunner: 'tap',
      plugins: ['@stryker-mutator/tap-runner'],
      inPlace: true,
      // Stryker would restore them too, to a state that `tsc -b` does not know of.
      ignorePatterns: ['dist', 'build'],
      buildCommand: 'npx tsc -b',
      coverageAnalysis: 'perTest',
      concurrency: Number(options.jobs ?? availableParallelism()),
      mutate: sources,
      tap: { testFiles: compiled, nodeArgs: ['-r', '{{hookFile}}', '{{testFile}}'] },
      timeoutMS: 30_000,
      reporters: ['json'],
      jsonReporter: { fileName: report },
    }),
  );
  run('npx', ['stryker', 'run', config, '--logLevel', 'error']);
  const score = print(JSON.parse(readFileSync(report, 'utf8')));
  const minutes = (performance.now() - startedAtMs) / 60_000;
  console.log(`${name}: ${score.toFixed(1)} % noticed, in ${minutes.toFixed(1)} minutes\n`);
  return score;
}

function print({ files }) {
  const mutants = Object.entries(files).flatMap(([file, { source, mutants: list }]) =>
    list.map((mutant) => ({ ...mutant, file, lines: source.split('\n') })),
  );
  const count = (...states) => mutants.filter(({ status }) => states.includes(status)).length;
  const noticed = count('Killed', 'Timeout');
  const score = (100 * noticed) / (noticed + count('Survived', 'NoCoverage'));
  const survivors = mutants.filter(({ status }) => ['Survived', 'NoCoverage'].includes(status));
  for (const { file, location, status, mutatorName, replacement, lines } of survivors) {
    const at = `${file}:${location.start.line}:${location.start.column}`;
    console.log(`${status === 'Survived' ? 'not noticed' : 'not run'}  ${at}  ${mutatorName}`);
    console.log(`  - ${lines[location.start.line - 1].trim()}`);
    console.log(`  + ${replacement.replace(/\s+/g, ' ')}`);
  }
  const timeouts = count('Timeout');
  const broken = count('RuntimeError', 'CompileError');
  if (broken > 0) console.log(`${broken} mutants could not be tried and do not count`);
  console.log(
    `${noticed + survivors.length} mutants: ${noticed} noticed (${timeouts} by a timeout), ${survivors.length} not`,
  );
  return score;
}
