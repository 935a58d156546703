import {
  nearestName,
  type OptionDeclarations,
  type OptionTable,
  type ParsedOptions,
} from '@fairlead/runtime/options';
import { describeRelease, endIfOutputFails, release, runCommand } from '@fairlead/runtime/process';

/** A command, or a group of commands. */
export interface CommandEntry {
  /** Its purpose, for the list of commands. */
  readonly summary: string;
  /** Runs the command, prints a failure on stderr, and sets the exit code of the process. */
  run(argv: readonly string[]): Promise<void>;
}

export const commandEntry = <D extends OptionDeclarations>(
  table: OptionTable<D>,
  run: (parsed: ParsedOptions<D>) => Promise<void>,
): CommandEntry => ({
  summary: table.summary,
  run: (argv) => runCommand({ table, ...release, run }, { argv, env: process.env }),
});

/** Commands with a common prefix: `fairlead`, `fairlead pki`. */
export interface CommandSet {
  readonly program: string;
  readonly summary: string;
  readonly commands: Readonly<Record<string, CommandEntry>>;
  /** Whether a call without arguments prints the help, and not one line. */
  readonly helpsIfBare?: boolean;
}

/**
 * Runs the command that the first argument names. If there is no such command, it prints one line with
 * the known commands on stderr, and the exit code is 2. Without an argument, it can print the help there.
 */
export async function runNamedCommand(set: CommandSet, argv: readonly string[]): Promise<void> {
  endIfOutputFails();
  const [name, ...rest] = argv;
  if (name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(helpText(set));
  } else if (name === '--version' || name === 'version') {
    process.stdout.write(`${set.program} ${describeRelease(release)}\n`);
  } else if (name !== undefined && Object.hasOwn(set.commands, name)) {
    await set.commands[name]!.run(rest);
  } else {
    process.stderr.write(`${set.program}: ${explainFault(set, name)}\n`);
    process.exitCode = 2;
  }
}

function explainFault(set: CommandSet, name: string | undefined): string {
  const names = Object.keys(set.commands);
  const known = `the commands are ${names.join(', ')}`;
  if (name === undefined) {
    const help = set.helpsIfBare ? `\n\n${helpText(set).trimEnd()}` : `; ${known}`;
    return `a command is missing${help}`;
  }
  const nearest = nearestName(name, names);
  const hint = nearest === undefined ? '' : `; did you mean ${nearest}?`;
  return `there is no command "${name}"; ${known}${hint}`;
}

function helpText(set: CommandSet): string {
  const widthChars = Math.max(...Object.keys(set.commands).map((name) => name.length));
  const rows = Object.entries(set.commands).map(
    ([name, { summary }]) => `  ${name.padEnd(widthChars)}  ${summary}`,
  );
  return [
    set.summary,
    '',
    `Usage: ${set.program} COMMAND [flags]`,
    '',
    'Commands:',
    ...rows,
    '',
    `${set.program} COMMAND --help shows its flags.`,
    '',
  ].join('\n');
}
