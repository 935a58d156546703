/**
 * `npm run bench:compare -- BASE [OPTIONS]`: measures the revision BASE and this checkout in turn, and prints ratios.
 */
import { workspaceRoot } from '@fairlead/testkit';
import { type BenchOptions, compareOptionsOrExit, compareUsage } from '../options.ts';
import { exitOnSignals } from '../process/exit-on-signals.ts';
import { ScratchDirectory } from '../process/scratch-directory.ts';
import { writeResults } from '../results-file.ts';
import { setExitCode } from '../run/exit-code.ts';
import { measureSystems, warnIfBusy } from '../run/measure-systems.ts';
import { progress } from '../run/progress.ts';
import { fairlead } from '../systems/fairlead.ts';
import { ratioTables } from './ratios.ts';
import { buildWorktree } from './worktree.ts';

exitOnSignals();
const [revision, ...args] = process.argv.slice(2);
if (revision === undefined || revision.startsWith('-')) {
  console.error(
    'usage: npm run bench:compare -- BASE [OPTIONS]. Add --help after BASE to list the options.',
  );
  process.exit(2);
}
try {
  const options = compareOptionsOrExit(args);
  if (options.help) process.stdout.write(compareUsage);
  else await compare(revision, options);
} catch (error) {
  console.error(`bench:compare: ${(error as Error).message}`);
  process.exitCode = 1;
}

async function compare(base: string, options: BenchOptions): Promise<void> {
  const directory = new ScratchDirectory();
  try {
    progress.say(`building ${base}`);
    const worktree = await buildWorktree(workspaceRoot, base, directory.path);
    try {
      const systems = [
        fairlead({ name: 'base', about: `Fairlead at ${worktree.commit}`, root: worktree.root }),
        fairlead({ name: 'candidate', about: 'Fairlead in this checkout' }),
      ];
      const command = ['npm run bench:compare --', base, ...args].join(' ');
      warnIfBusy();
      const results = await measureSystems(options, systems, command);
      process.stdout.write(ratioTables(results, 'base', 'candidate'));
      if (options.json !== undefined) writeResults(options.json, results);
      setExitCode(results);
    } finally {
      await worktree.close();
    }
  } finally {
    await directory.close();
  }
}
