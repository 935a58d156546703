/** What happens to a program whose output cannot be written. */

/** The exit code that a shell reports for a program that SIGPIPE ended. */
const brokenPipeCode = 141;

/**
 * Ends the process if its output cannot be written: silently if the reader has ended (`--help | head -1`), as
 * SIGPIPE ends other programs, else with one line. Node ignores SIGPIPE and throws EPIPE instead.
 */
export function endIfOutputFails(): void {
  if (process.stdout.listeners('error').includes(onOutputError)) return;
  process.stdout.on('error', onOutputError);
  // A message that nothing reads must not replace the exit code.
  process.stderr.on('error', () => {});
}

function onOutputError(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(brokenPipeCode);
  process.stderr.write(`cannot write to stdout: ${error.message}\n`);
  process.exit(1);
}
