/** Version and commit of this Fairlead: from a bundle's stamp, or from the package and its repository. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BuildStamp, buildStamp } from './build-stamp.ts';

/** Version and commit, to spread into a program or command. */
export interface Release {
  /** All packages of Fairlead share one version: `0.1.0`. */
  readonly version: string;
  /**
   * The first 12 digits of the commit, and `-dirty` if files have changed since. Called for `--version` only,
   * since it runs git unless this is a bundle. Undefined if unknown.
   */
  commit?(): string | undefined;
}

const stamp: BuildStamp | undefined = buildStamp;

export const release: Required<Release> = {
  version: stamp?.version ?? packageVersion(),
  commit: () => (stamp ? stamp.commit : repositoryCommit()),
};

/** The commit of a bundle, for the first log line; undefined otherwise. */
export const stampedCommit = stamp?.commit;

/** `0.1.0 (commit 0123456789ab, node v24.21.0)`. */
export function describeRelease({ version, commit }: Release): string {
  if (!commit) return version;
  const hash = commit();
  const facts = [...(hash === undefined ? [] : [`commit ${hash}`]), `node ${process.version}`];
  return `${version} (${facts.join(', ')})`;
}

function packageRoot(): string {
  return fileURLToPath(new URL('../..', import.meta.url));
}

function packageVersion(): string {
  const manifest = readFileSync(join(packageRoot(), 'package.json'), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

/** Undefined if another repository contains this package: its commit is not ours. */
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
