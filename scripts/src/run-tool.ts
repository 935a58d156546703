import { execFileSync, spawnSync } from 'node:child_process';

/**
 * Runs a tool to its end and returns its stdout; stderr goes to ours.
 * @throws if it cannot be started or ends with another code than 0
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
export function hasTool(file: string, probe: readonly string[] = ['--version']): boolean {
  return spawnSync(file, probe, { stdio: 'ignore' }).status === 0;
}
