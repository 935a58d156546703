/** Which Fairlead this is: from the stamp of a bundle, or from the package and its repository. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BuildStamp, buildStamp } from './build-stamp.ts';

/** What a program or command says of itself, to be spread into it. */
export interface Release {
  /** All packages of Fairlead share one version: `0.1.0`. */
  readonly version: string;
  /**
   * The first 12 digits of the commit, with `-dirty` behind them where files were changed since: asked for at
   * `--version` only, for out of a bundle git has to be asked. Undefined where nobody knows.
   */
  commit?(): string | undefined;
}

const stamp: BuildStamp | undefined = buildStamp;

export const release: Required<Release> = {
  version: stamp?.version ?? packageVersion(),
  commit: () => (stamp ? stamp.commit : repositoryCommit()),
};

/** Known without asking anybody, for the first line of a log; undefined unless this is a bundle. */
export const stampedCommit = stamp?.commit;

/** `0.1.0 (commit 0123456789ab, node v24.21.0)`. */
export function describeRelease({ version, commit }: Release): string {
  if (!commit) return version;
  const known = commit();
  const facts = [...(known === undefined ? [] : [`commit ${known}`]), `node ${process.version}`];
  return `${version} (${facts.join(', ')})`;
}

function packageRoot(): string {
  return fileURLToPath(new URL('../..', import.meta.url));
}

function packageVersion(): string {
  const manifest = readFileSync(join(packageRoot(), 'package.json'), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

/** Installed as a package, this may lie in somebody else's repository, whose commit is none of ours. */
function repositoryCommit(): string | undefined {
  const root = packageRoot();
  const git = (...args: string[]): string =>
    execFileSync('git', ['-C', root, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  try {
    const repository = git('rev-parse', '--show-toplevel');
    if (resolve(repository, 'packages/runtime') !== resolve(root)) return undefined;
    return git('describe', '--always', '--dirty', '--abbrev=12', '--exclude=*');
  } catch {
    return undefined;
  }
}
