import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The first match in what a program prints when asked for its version. */
export async function programVersion(
  program: string | undefined,
  args: readonly string[],
  pattern: RegExp,
): Promise<string | undefined> {
  if (program === undefined) return undefined;
  // Some print it on stderr, some end with an error afterwards.
  const output = await run(program, [...args]).catch((error: unknown) => error as object);
  const { stdout = '', stderr = '' } = output as { stdout?: string; stderr?: string };
  return pattern.exec(`${stdout}\n${stderr}`)?.[1];
}
