import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

const alive = new Set<ChildProcess>();

// Before other handlers of this event: they remove the directories that these programs write to.
process.prependListener('exit', () => {
  for (const { pid } of alive) {
    try {
      process.kill(-pid!, 'SIGKILL');
    } catch {
      // It ended meanwhile.
    }
  }
});

/**
 * Runs a program to its end; if this process ends first, so does the program, with all that it has
 * started.
 *
 * @returns what it wrote to stdout
 * @throws Error with its last words when it fails
 */
export async function runProgram(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string } = {},
): Promise<string> {
  // A process group of its own: npm does its work in children.
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
