import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

const alive = new Set<ChildProcess>();

// Runs before the other exit handlers, which remove the directories that these programs write to.
process.prependListener('exit', () => {
  for (const { pid } of alive) {
    try {
      process.kill(-pid!, 'SIGKILL');
    } catch {
      // The program has just ended.
    }
  }
});

/**
 * Runs a program until it ends. If this process exits first, it kills the program and its children.
 *
 * @returns the program's stdout
 * @throws Error with the program's output if it fails
 */
export async function runProgram(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string } = {},
): Promise<string> {
  // A new process group, because npm starts children.
  const child = spawn(command, args, {
    ...options,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  await once(child, 'spawn');
  alive.add(child);
  child.once('exit', () => alive.delete(child));
  const ended = once(child, 'close');
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code, signal] = await ended;
  if (code !== 0) {
    const how = signal ?? `exit code ${code}`;
    throw new Error([`${command} ended with ${how}`, stderr.trim(), stdout.trim()].join('\n'));
  }
  return stdout;
}
