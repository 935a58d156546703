/** Reads flags as Go's pflag does; util.parseArgs rejects `--flag=true` and `-v=4`. */
import { UsageError } from '../../process/startup-error.ts';
import { nearestName } from '../nearest-name.ts';
import { type AnyOptionTable, findOption, type RawValue, type RawValues } from '../option-table.ts';

const builtIns = ['help', 'version'] as const;

/**
 * @param argv without node and the script
 * @returns `wants` at the first `--help`, `-h` or `--version`; the arguments after it are not read
 * @throws UsageError on an unknown flag, a flag without its value, or an unexpected argument
 */
export function readArgv(
  table: AnyOptionTable,
  argv: readonly string[],
): {
  readonly values: RawValues;
  readonly positionals: readonly string[];
  readonly wants: 'help' | 'version' | undefined;
} {
  const texts = new Map<string, string[]>();
  const positionals: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const arg = argv[at]!;
    if (arg === '--') {
      positionals.push(...argv.slice(at + 1));
      break;
    }
    if (!arg.startsWith('-') || arg === '-') {
      positionals.push(arg);
      continue;
    }
    const { name, attached } = splitFlag(table, arg);
    const wants = builtIns.find((builtIn) => builtIn === name);
    if (wants) return { values: rawValues(texts), positionals, wants };
    const option = findOption(table, name);
    if (!option) throw unknownFlag(table, name);
    if (option.standing === 'live' && option.notAsFlag !== undefined) {
      throw new UsageError(
        `--${name}: all users of this machine can read a command line; ${option.notAsFlag}`,
      );
    }

    let text = attached;
    if (text === undefined && option.kind.isBoolean) {
      text = 'true';
      rejectDetachedBoolean(name, argv[at + 1]);
    } else if (text === undefined) {
      at += 1;
      text = argv[at];
      if (text === undefined) {
        throw new UsageError(
          `--${name}: the value is missing: --${name} ${option.kind.placeholder}`,
        );
      }
    }
    const earlier = texts.get(name);
    if (earlier) earlier.push(text);
    else texts.set(name, [text]);
  }
  checkPositionals(table, positionals);
  return { values: rawValues(texts), positionals, wants: undefined };
}

function splitFlag(table: AnyOptionTable, arg: string): { name: string; attached?: string } {
  const equals = arg.indexOf('=');
  const attached = equals < 0 ? {} : { attached: arg.slice(equals + 1) };
  const written = equals < 0 ? arg : arg.slice(0, equals);
  if (written.startsWith('--')) return { name: written.slice(2), ...attached };

  const letters = written.slice(1);
  if (letters === 'h') return { name: 'help' };
  const short = Object.entries(table.options).find(
    ([, option]) => option.standing === 'live' && option.short === letters[0],
  );
  if (short && letters.length === 1) return { name: short[0], ...attached };
  // klog's -v4. Only digits may follow: -verbose is a mistyped --verbose, not -v with the value "erbose".
  if (short && equals < 0 && /^\d+$/.test(letters.slice(1))) {
    return { name: short[0], attached: letters.slice(1) };
  }
  throw unknownFlag(table, letters, '-');
}

/** pflag reads `--flag false` as `--flag=true` and an argument, so it gets an error with the cure. */
function rejectDetachedBoolean(name: string, next: string | undefined): void {
  if (next !== undefined && /^(true|false|t|f|0|1)$/i.test(next)) {
    throw new UsageError(`--${name} ${next}: write --${name}=${next}`);
  }
}

function unknownFlag(table: AnyOptionTable, name: string, dashes = '--'): UsageError {
  const nearest = nearestName(name, [...Object.keys(table.options), ...builtIns]);
  const cure = nearest ? `did you mean --${nearest}?` : `see ${table.program} --help`;
  return new UsageError(`unknown flag ${dashes}${name}: ${cure}`);
}

function checkPositionals(table: AnyOptionTable, found: readonly string[]): void {
  const { usage, min, max } = table.positionals ?? { usage: '', min: 0, max: 0 };
  const extra = found[max];
  if (extra !== undefined) {
    const cure = max === 0 ? 'only flags are accepted' : `expected ${usage}`;
    throw new UsageError(`unexpected argument "${extra}": ${cure}, see ${table.program} --help`);
  }
  if (found.length < min) {
    throw new UsageError(`an argument is missing: ${table.program} [flags] ${usage}`);
  }
}

function rawValues(texts: ReadonlyMap<string, readonly string[]>): RawValues {
  return new Map(
    [...texts].map(([name, all]): [string, RawValue] => [
      name,
      { texts: all, isItems: false, source: 'flag', origin: `--${name}` },
    ]),
  );
}
