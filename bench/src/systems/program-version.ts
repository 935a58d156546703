import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** @returns the first group of `pattern` in a program's output, or undefined if the program is missing */
export async function programVersion(
  program: string | undefined,
  args: readonly string[],
  pattern: RegExp,
): Promise<string | undefined> {
  if (program === undefined) return undefined;
  // Some programs print their version on stderr, or exit with an error after it.
  const output = await run(program, [...args]).catch((error: unknown) => error as object);
  const { stdout = '', stderr = '' } = output as { stdout?: string; stderr?: string };
  return pattern.exec(`${stdout}\n${stderr}`)?.[1];
}

/** The version of a node binary, such as `v20.20.2`. */
export function nodeVersion(nodePath: string): Promise<string | undefined> {
  return programVersion(nodePath, ['--version'], /(v\S+)/);
}
