import { execFileSync, spawnSync } from 'node:child_process';

/**
 * Runs a tool and returns its stdout. Its stderr is inherited.
 * @throws Error if the tool cannot be started or its exit code is not 0
 */
export function runTool(
  file: string,
  args: readonly string[],
  { cwd, env }: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): string {
  return execFileSync(file, args, {
    cwd,
    env: { ...process.env, ...env },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 64 * 1024 ** 2,
  });
}

/** Whether a tool is on the PATH and starts. */
export function hasTool(file: string): boolean {
  return spawnSync(file, ['--version'], { stdio: 'ignore' }).status === 0;
}
