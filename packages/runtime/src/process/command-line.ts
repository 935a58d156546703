/** The command line of a program or a command: options, `--help`, `--version`, and failures as one line. */
import { helpText } from '../options/option-help.ts';
import type { OptionDeclarations, OptionTable } from '../options/option-table.ts';
import {
  type ParsedOptions,
  type ParseInput,
  parseOptions,
} from '../options/read/parse-options.ts';
import { readArgv } from '../options/read/read-argv.ts';
import { endIfOutputFails } from './output.ts';
import { describeRelease, type Release } from './release.ts';
import { StartupError } from './startup-error.ts';

/** A command that does one thing and ends, without a log: `fairlead pki init`. */
export interface Command<D extends OptionDeclarations> extends Release {
  readonly table: OptionTable<D>;
  /** A StartupError or UsageError that it throws becomes one line on stderr. */
  run(parsed: ParsedOptions<D>): Promise<void>;
}

/**
 * Runs a command and sets the exit code: 0 success, 1 failure, 2 wrong usage. The process ends when its
 * event loop is empty. Signals keep their default effect.
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

/**
 * Reads a program's command line, environment and file. Answers `--help` and `--version` on stdout.
 *
 * @returns undefined if that was all
 * @throws UsageError as parseOptions
 */
export function readCommandLine<D extends OptionDeclarations>(
  table: OptionTable<D>,
  release: Release,
  input: ParseInput,
): ParsedOptions<D> | undefined {
  endIfOutputFails();
  const { wants } = readArgv(table, input.argv);
  if (wants === 'help') process.stdout.write(helpText(table));
  if (wants === 'version') process.stdout.write(`${table.program} ${describeRelease(release)}\n`);
  return wants === undefined ? parseOptions(table, input) : undefined;
}

export function processInput(): ParseInput {
  return { argv: process.argv.slice(2), env: process.env };
}

/**
 * Writes why the program ends: one line, or a stack if the cause is a bug of ours.
 *
 * @returns the exit code: 2 for wrong usage, 1 for any other failure
 */
export function reportFailure(program: string, error: unknown): 1 | 2 {
  if (error instanceof StartupError) {
    process.stderr.write(`${program}: ${error.message}\n`);
    return error.exitCode;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`${program}: internal error: ${text}\n`);
  return 1;
}
