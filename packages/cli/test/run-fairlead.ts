import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** A command that hangs is killed, and its test fails for want of an exit code. */
const TIMEOUT_MS = 30_000;

const bin = fileURLToPath(new URL('../../../../packages/cli/bin/fairlead.js', import.meta.url));

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `fairlead` as a process of its own to its end, without FAIRLEAD_* from outside. */
export function runFairlead(
  argv: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Finished> {
  const env = { PATH: process.env.PATH, ...options.env };
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [bin, ...argv],
      { env, cwd: options.cwd, timeout: TIMEOUT_MS },
      (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
      },
    );
  });
}
