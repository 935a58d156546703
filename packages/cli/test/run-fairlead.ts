import { execFile } from 'node:child_process';
import * as cli from '@fairlead/cli';
import { commandOf, programs } from '@fairlead/testkit';

/** A command that hangs is killed, and its test fails because it has no exit code. */
const TIMEOUT_MS = 60_000;

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

/**
 * Runs a command of `fairlead` in this process and takes what it prints: a process costs ten times as
 * much. Binaries under test run as processes all the same. Not for two commands at once.
 */
export async function runCommand(argv: readonly string[]): Promise<Finished> {
  if (process.env.FAIRLEAD_BIN_DIR) return runFairlead(argv);
  const { exitCode } = process;
  const stdout = capture(process.stdout);
  const stderr = capture(process.stderr);
  try {
    process.exitCode = 0;
    await cli.runFairlead(argv);
    return { code: process.exitCode, stdout: stdout.end(), stderr: stderr.end() };
  } finally {
    stdout.end();
    stderr.end();
    process.exitCode = exitCode;
  }
}

function capture(stream: NodeJS.WriteStream): { end(): string } {
  const { write } = stream;
  let text = '';
  stream.write = (chunk: string | Uint8Array) => {
    text += chunk;
    return true;
  };
  return {
    end() {
      stream.write = write;
      return text;
    },
  };
}
