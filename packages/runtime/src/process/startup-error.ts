/**
 * A reason not to start, or to stop, that is told to the operator as one line on stderr.
 *
 * The text names what is wrong and the cure; no stack is shown. Exit code 1: the command line was
 * fine, the machine was not (a port in use, a file that cannot be written).
 */
export class StartupError extends Error {
  readonly exitCode: 1 | 2 = 1;

  constructor(text: string, options?: ErrorOptions) {
    super(text, options);
    this.name = 'StartupError';
  }
}
