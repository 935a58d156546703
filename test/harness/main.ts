import { relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { selectFiles } from './find-files.ts';
import { Report } from './report.ts';
import { root } from './run-file.ts';
import { runSuites } from './run-suites.ts';
import { stress } from './stress.ts';
import { type SuiteName, suiteNames, suites } from './suites.ts';

const help = `Usage: npm test [-- [--grep=REGEXP] [--jobs=N] [PATH...]]
       npm run test:SUITE, npm run test:all
       npm run test:stress -- --times N --load L [PATH...]

PATH is a test file or a folder. Without one, the suite's files run.

  --suite=NAME   a suite, several times for several; "all" for all
  --grep=REGEXP  only tests whose names match
  --jobs=N       how many files run at once
  --list         print the suites and their files, and run nothing
  --times=N      repeat the run N times and print a table
  --load=L       keep L processes busy meanwhile (with --times)

Suites:
${suiteNames.map((name) => `  ${name.padEnd(10)} ${suites[name].purpose}`).join('\n')}
`;

/** A mistake in the arguments: one line, and exit code 2. */
function refuse(problem: string): never {
  process.stderr.write(`${problem}. See npm test -- --help.\n`);
  process.exit(2);
}

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        suite: { type: 'string', multiple: true, default: [] },
        grep: { type: 'string' },
        jobs: { type: 'string' },
        list: { type: 'boolean', default: false },
        times: { type: 'string' },
        load: { type: 'string', default: '0' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    return refuse((error as Error).message.split('.')[0]!);
  }
}

function readCount(flag: string, text: string | undefined, least: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < least) {
    refuse(`--${flag}: ${text}: not a whole number of at least ${least}`);
  }
  return value;
}

function readGrep(text: string | undefined): string | undefined {
  try {
    if (text !== undefined) new RegExp(text);
    return text;
  } catch (error) {
    return refuse(`--grep: ${(error as Error).message}`);
  }
}

function readSuites(names: readonly string[]): SuiteName[] {
  if (names.includes('all')) return [...suiteNames];
  const unknown = names.find((name) => !(name in suites));
  if (unknown !== undefined)
    refuse(`--suite: ${unknown}: not one of ${suiteNames.join(', ')}, all`);
  return suiteNames.filter((name) => names.includes(name));
}

const { values, positionals } = readArguments();
if (values.help) {
  process.stdout.write(help);
  process.exit(0);
}

/** npm runs scripts in the root, and tells where the user called it. */
const calledFrom = process.env.INIT_CWD ?? process.cwd();
const paths = positionals.map((path) => relative(root, resolve(calledFrom, path)));

let files: ReturnType<typeof selectFiles>;
try {
  files = selectFiles(root, readSuites(values.suite), paths);
} catch (error) {
  refuse((error as Error).message);
}

const grep = readGrep(values.grep);
const jobs = readCount('jobs', values.jobs, 1);
const times = readCount('times', values.times, 1);
const load = readCount('load', values.load, 0)!;

if (values.list) {
  for (const [name, list] of files) {
    process.stdout.write(
      `${name}: ${suites[name].purpose}\n${list.map((f) => `  ${f}\n`).join('')}`,
    );
  }
} else if (times !== undefined) {
  process.exitCode = await stress({ times, load, files, grep, jobs });
} else {
  const report = new Report(process.stdout);
  await runSuites({ files, grep, jobs, report });
  report.end();
  process.exitCode = report.failedCount === 0 ? 0 : 1;
}
