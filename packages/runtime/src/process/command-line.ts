import { helpText } from '../options/option-help.ts';
import type { OptionDeclarations, OptionTable } from '../options/option-table.ts';
import {
  type ParsedOptions,
  type ParseInput,
  parseOptions,
} from '../options/read/parse-options.ts';
import { readArgv } from '../options/read/read-argv.ts';
import { describeRelease, type Release } from './release.ts';
import { StartupError } from './startup-error.ts';

/**
 * Reads a program's command line, environment and file. `--help` and `--version` are answered on
 * stdout.
 *
 * @returns undefined if there is nothing left to do
 * @throws UsageError as parseOptions
 */
export function readCommandLine<D extends OptionDeclarations>(
  table: OptionTable<D>,
  release: Release,
  input: ParseInput,
): ParsedOptions<D> | undefined {
  const { wants } = readArgv(table, input.argv);
  if (wants === 'help') process.stdout.write(helpText(table));
  if (wants === 'version') process.stdout.write(`${table.program} ${describeRelease(release)}\n`);
  return wants === undefined ? parseOptions(table, input) : undefined;
}

/** This process' own arguments and environment. */
export function processInput(): ParseInput {
  return { argv: process.argv.slice(2), env: process.env };
}

/**
 * Tells the operator why the program ends: one line, or a stack where the fault is our own.
 *
 * @returns the exit code: 2 for bad usage, 1 for any other failure
 */
export function reportFailure(program: string, error: unknown): 1 | 2 {
  if (error instanceof StartupError) {
    process.stderr.write(`${program}: ${error.message}\n`);
    return error.exitCode;
  }
  const told = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`${program}: internal error: ${told}\n`);
  return 1;
}
