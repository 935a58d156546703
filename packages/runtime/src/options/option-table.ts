/**
 * One table per program declares each option once. The type of the parsed options, flags,
 * environment variables, configuration file keys, `--help` and docs/configuration.md come from it.
 */
import type { AnyOption, LiveOption } from './option.ts';

/** `agent-port` -> `agentPort`. */
type CamelCase<S extends string> = S extends `${infer Head}-${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : S;

export type OptionDeclarations = Readonly<Record<string, AnyOption>>;

type LiveName<D extends OptionDeclarations> = {
  [K in keyof D]: D[K] extends LiveOption<unknown> ? K : never;
}[keyof D] &
  string;

/** The parsed options of a table's declarations: camelCase keys, no ignored or refused ones. */
export type OptionValues<D extends OptionDeclarations> = {
  readonly [K in LiveName<D> as CamelCase<K>]: D[K] extends LiveOption<infer T> ? T : never;
};

/** The parsed options of a table. */
export type OptionsOf<T> = T extends OptionTable<infer D> ? OptionValues<D> : never;

/** Where a value came from, in order of precedence. */
export type OptionSource = 'flag' | 'env' | 'file' | 'default';

/** What a table's own checks get besides the values. */
export interface CheckContext<D extends OptionDeclarations> {
  /** True if a flag, the environment or the file gave this option. */
  isGiven(name: LiveName<D>): boolean;
  /** One line for the log. */
  warn(text: string): void;
}

/** Arguments that are not flags. */
interface Positionals {
  /** As in the usage line: `HOST:PORT`. */
  readonly usage: string;
  readonly min: number;
  readonly max: number;
}

export interface OptionTable<D extends OptionDeclarations> {
  /** The name in the usage line; a sub-command's is two words. */
  readonly program: string;
  /** One sentence: what the program is for. */
  readonly summary: string;
  readonly options: D;
  readonly positionals?: Positionals;
  /** What no option can check alone. Throws UsageError with the flags' names and the cure. */
  check?(values: OptionValues<D>, context: CheckContext<D>): void;
}

/** Any table, for code that only walks the declarations. */
export type AnyOptionTable = Omit<OptionTable<OptionDeclarations>, 'check'>;

/**
 * Declares a program's options. Names are kebab-case; `help` and `version` are everyone's.
 *
 * @throws Error on a name that cannot work: the table's own bug, found by its first use
 */
export function defineOptions<D extends OptionDeclarations>(table: OptionTable<D>): OptionTable<D> {
  for (const name of [...Object.keys(table.options), ...aliases(table).keys()]) {
    if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name) || name === 'help' || name === 'version') {
      throw new Error(`an option cannot be named ${name}`);
    }
  }
  return table;
}

/** The option of that name or alias; safe for names that anyone may have typed (`constructor`). */
export function findOption(table: AnyOptionTable, name: string): AnyOption | undefined {
  const ownName = aliases(table).get(name) ?? name;
  return Object.hasOwn(table.options, ownName) ? table.options[ownName] : undefined;
}

/** The names of options that have an alias, by alias. */
export function aliases({ options }: AnyOptionTable): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(options).flatMap(([name, option]) =>
      option.standing === 'live' && option.alias !== undefined ? [[option.alias, name]] : [],
    ),
  );
}

/** `agent-port` -> `agentPort`, the key in the parsed options. */
export function camelCase(name: string): string {
  return name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}

/** `agent-port` -> `FAIRLEAD_AGENT_PORT`. */
export function envName(name: string): string {
  return `FAIRLEAD_${name.toUpperCase().replaceAll('-', '_')}`;
}
