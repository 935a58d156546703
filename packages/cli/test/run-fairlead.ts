import { AsyncLocalStorage } from 'node:async_hooks';
import { execFile } from 'node:child_process';
import * as cli from '@fairlead/cli';
import { commandOf, programs, testRunEnvironment } from '@fairlead/testkit';

/** A command that hangs is killed. Its test fails because there is no exit code. */
const TIMEOUT_MS = 120_000;

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs `fairlead` as a process and waits for its end. The process does not inherit FAIRLEAD_* variables. */
export function runFairlead(argv: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const env = { PATH: process.env.PATH, ...testRunEnvironment(), ...options.env };
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
 * Runs a command of `fairlead` in this process and captures its output, which is ten times as fast as a
 * process. Binaries under test still run as processes. Only one command can run at a time, because the
 * environment and the exit code belong to the process.
 */
export async function runCommand(
  argv: readonly string[],
  options: RunOptions = {},
): Promise<Finished> {
  if (process.env.FAIRLEAD_BIN_DIR) return runFairlead(argv, options);
  const output = { stdout: '', stderr: '' };
  const { cwd = process.cwd(), env: given } = options;
  const before = { cwd: process.cwd(), env: process.env, exitCode: process.exitCode };
  process.env = { PATH: before.env.PATH, ...given };
  process.chdir(cwd);
  process.exitCode = 0;
  try {
    await captured.run(output, () => cli.runFairlead(argv));
    return { code: Number(process.exitCode), ...output };
  } finally {
    process.exitCode = before.exitCode;
    process.chdir(before.cwd);
    process.env = before.env;
  }
}

/** The output of the running command. Other code in this process, such as tap, prints as usual. */
const captured = new AsyncLocalStorage<{ stdout: string; stderr: string }>();

for (const name of ['stdout', 'stderr'] as const) {
  const stream = process[name];
  const write = stream.write.bind(stream);
  stream.write = ((chunk: string | Uint8Array, ...rest: []) => {
    const output = captured.getStore();
    if (!output) return write(chunk, ...rest);
    output[name] += chunk;
    return true;
  }) as typeof write;
}
