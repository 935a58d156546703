import type { OptionDeclarations, OptionTable } from '../options/option-table.ts';
import type { ParsedOptions, ParseInput } from '../options/read/parse-options.ts';
import { processInput, readCommandLine, reportFailure } from './command-line.ts';
import type { Release } from './release.ts';

/** A command that does one thing and ends, without a log: `fairlead pki init`. */
export interface Command<D extends OptionDeclarations> extends Release {
  readonly table: OptionTable<D>;
  /** StartupError and UsageError that it throws are told as one line on stderr. */
  run(parsed: ParsedOptions<D>): Promise<void>;
}

/**
 * Runs a command and sets the exit code: 0 done, 1 failure, 2 bad usage. The process ends when
 * nothing is left to do. Signals keep their usual effect.
 */
export async function runCommand<D extends OptionDeclarations>(
  command: Command<D>,
  input: ParseInput = processInput(),
): Promise<void> {
  const { table } = command;
  try {
    const parsed = readCommandLine(table, command, input);
    if (!parsed) return;
    for (const warning of parsed.warnings) {
      process.stderr.write(`${table.program}: warning: ${warning}\n`);
    }
    await command.run(parsed);
  } catch (error) {
    process.exitCode = reportFailure(table.program, error);
  }
}
