import { execFile } from 'node:child_process';
import * as cli from '@fairlead/cli';
import { commandOf, programs } from '@fairlead/testkit';

/** A command that hangs is killed, and its test fails because it has no exit code. */
const TIMEOUT_MS = 120_000;

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  /** Beside a bare environment; FAIRLEAD_* from outside are not passed on. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs `fairlead` as a process until it ends. */
export function runFairlead(argv: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const { PATH, FAIRLEAD_TEST_RUN } = process.env;
  const env = { PATH, FAIRLEAD_TEST_RUN, ...options.env };
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
export async function runCommand(
  argv: readonly string[],
  options: RunOptions = {},
): Promise<Finished> {
  if (process.env.FAIRLEAD_BIN_DIR) return runFairlead(argv, options);
  const { exitCode } = process;
  const directory = process.cwd();
  if (options.cwd !== undefined) process.chdir(options.cwd);
  Object.assign(process.env, options.env);
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
    process.chdir(directory);
    for (const name of Object.keys(options.env ?? {})) delete process.env[name];
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
