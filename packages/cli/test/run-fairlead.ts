import { execFile } from 'node:child_process';
import { commandOf, programs } from '@fairlead/testkit';

/** A command that hangs is killed, and its test fails for want of an exit code. */
const TIMEOUT_MS = 30_000;

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
  const [file, ...first] = commandOf(programs.cli);
  return new Promise((resolve) => {
    execFile(
      file,
      [...first, ...argv],
      { env, cwd: options.cwd, timeout: TIMEOUT_MS },
      (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
      },
    );
  });
}
