import { StartupError } from './startup-error.ts';

/**
 * The operator's mistake in a flag, an environment variable or a file that a flag names.
 * Exit code 2; the text is one line that names the flag or the file, and the cure.
 */
export class UsageError extends StartupError {
  override readonly exitCode = 2;

  constructor(text: string, options?: ErrorOptions) {
    super(text, options);
    this.name = 'UsageError';
  }
}
