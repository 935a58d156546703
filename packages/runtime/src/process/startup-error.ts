/**
 * A reason not to start, or to stop. The operator sees one line on stderr, without a stack: what is wrong
 * and the cure. Exit code 1: the command line is right, but the machine is not ready (a port in use).
 */
export class StartupError extends Error {
  readonly exitCode: 1 | 2 = 1;

  constructor(text: string, options?: ErrorOptions) {
    super(text, options);
    this.name = 'StartupError';
  }
}

/**
 * A mistake in a flag, an environment variable or a file that a flag names. Exit code 2; the line names
 * the flag or the file, and the cure.
 */
export class UsageError extends StartupError {
  override readonly exitCode = 2;

  constructor(text: string, options?: ErrorOptions) {
    super(text, options);
    this.name = 'UsageError';
  }
}
