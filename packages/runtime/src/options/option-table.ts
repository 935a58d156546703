/**
 * One table per program declares each option once. The type of the parsed options, flags, environment
 * variables, keys of the configuration file, `--help` and docs/configuration.md all follow from it.
 */
import type { OptionKind } from './option-kinds.ts';

/** The texts about an option in `--help` and docs/configuration.md. */
interface OptionText {
  /** The heading; groups appear in the order of their first option. */
  readonly group: string;
  /** One or two sentences, without a final full stop and without the default, which is added. */
  readonly description: string;
  /** Replaces the default, if that depends on something. */
  readonly defaultText?: string;
  /** Environment variables besides FAIRLEAD_<NAME>, which takes precedence. */
  readonly env?: readonly string[];
  /** One letter: `v` allows `-v=4`, `-v 4` and `-v4`. */
  readonly short?: string;
  /** Never print the value, not even in an error about it. */
  readonly secret?: boolean;
  /** A former name, in kebab-case: it works as flag, variable and key, and `--help` omits it. */
  readonly alias?: string;
  /** Not allowed as a flag, since all users of the machine can read it; says where to set it instead. */
  readonly notAsFlag?: string;
  /** Still works, with a warning that contains this cure. */
  readonly deprecated?: string;
}

/** An option in a table. T is the type of the parsed value, including undefined. */
export interface LiveOption<T> extends OptionText {
  readonly standing: 'live';
  readonly kind: OptionKind<Exclude<T, undefined>>;
  readonly required: boolean;
  makeDefault(): T | undefined;
}

/**
 * An option without a value for the program. An `ignored` one causes a warning with the reason. A `refused`
 * one is an error with the reason, unless it is set to its default.
 */
export interface InertOption {
  readonly standing: 'ignored' | 'refused';
  readonly kind: OptionKind<unknown>;
  /** Konnectivity's default. */
  readonly default: unknown;
  /** Its effect in Konnectivity. */
  readonly description: string;
  /** Follows "--flag has no effect: " or "--flag: ". */
  readonly reason: string;
}

export type AnyOption = LiveOption<unknown> | InertOption;

/** Declares an option. Its value can be undefined if it has no default and is not required. */
interface DeclareOption<Text> {
  <T>(kind: OptionKind<T>, spec: Text & { readonly default: NoInfer<T> }): LiveOption<T>;
  /** @param spec.makeDefault for a default that differs between processes */
  <T>(
    kind: OptionKind<T>,
    spec: Text & { readonly makeDefault: () => NoInfer<T>; readonly defaultText: string },
  ): LiveOption<T>;
  <T>(kind: OptionKind<T>, spec: Text & { readonly required: true }): LiveOption<T>;
  <T>(kind: OptionKind<T>, spec: Text): LiveOption<T | undefined>;
}

export const option: DeclareOption<OptionText> = <T>(
  kind: OptionKind<Exclude<T, undefined>>,
  {
    default: fixed,
    makeDefault = () => fixed as T,
    required = false,
    ...texts
  }: OptionText & {
    readonly default?: T;
    readonly makeDefault?: () => T;
    readonly required?: boolean;
  },
): LiveOption<T> => ({ standing: 'live', kind, required, makeDefault, ...texts });

/** `option` for all options of one group. */
export function optionsIn(group: string): DeclareOption<Omit<OptionText, 'group'>> {
  return <T>(kind: OptionKind<T>, spec: Omit<OptionText, 'group'>) =>
    option(kind, { ...spec, group }) as LiveOption<T>;
}

type InertSpec<T> = Pick<InertOption, 'description' | 'reason'> & { readonly default?: T };

/** Declares an option of Konnectivity that has no meaning here and can be ignored safely. */
export function ignoredOption<T>(kind: OptionKind<T>, spec: InertSpec<NoInfer<T>>): InertOption {
  return { standing: 'ignored', default: undefined, ...spec, kind: kind as OptionKind<unknown> };
}

/** Declares an option of Konnectivity that is not supported and must not be ignored silently. */
export function refusedOption<T>(kind: OptionKind<T>, spec: InertSpec<NoInfer<T>>): InertOption {
  return { standing: 'refused', default: undefined, ...spec, kind: kind as OptionKind<unknown> };
}

type CamelCase<S extends string> = S extends `${infer Head}-${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : S;

export type OptionDeclarations = Readonly<Record<string, AnyOption>>;

type LiveName<D extends OptionDeclarations> = {
  [K in keyof D]: D[K] extends LiveOption<unknown> ? K : never;
}[keyof D] &
  string;

/** The parsed options by camelCase name, without ignored and refused ones. */
export type OptionValues<D extends OptionDeclarations> = {
  readonly [K in LiveName<D> as CamelCase<K>]: D[K] extends LiveOption<infer T> ? T : never;
};

export type OptionsOf<T> = T extends OptionTable<infer D> ? OptionValues<D> : never;

/** Where a value comes from, in order of precedence. */
export type OptionSource = 'flag' | 'env' | 'file' | 'default';

/** What a table's own check can use besides the values. */
export interface CheckContext<D extends OptionDeclarations> {
  /** Whether a flag, the environment or the file sets this option. */
  isGiven(name: LiveName<D>): boolean;
  /** Adds a warning, one line. */
  warn(text: string): void;
}

export interface OptionTable<D extends OptionDeclarations> {
  /** The name in the usage line; two words for a subcommand. */
  readonly program: string;
  /** One sentence: the purpose of the program. */
  readonly summary: string;
  readonly options: D;
  /** Command lines for `--help`, as a user would type them. */
  readonly examples?: readonly string[];
  /** Arguments that are not flags: their number, and their names in the usage line (`HOST:PORT`). */
  readonly positionals?: { readonly usage: string; readonly min: number; readonly max: number };
  /** Checks options against each other. Throws UsageError with the flags and the cure. */
  check?(values: OptionValues<D>, context: CheckContext<D>): void;
}

/** Any table, for code that reads only the declarations. */
export type AnyOptionTable = Omit<OptionTable<OptionDeclarations>, 'check'>;

/**
 * Declares a program's options. Names are kebab-case; `help` and `version` are built in.
 *
 * @throws Error on an invalid name, which is a bug in the table
 */
export function defineOptions<D extends OptionDeclarations>(table: OptionTable<D>): OptionTable<D> {
  for (const name of [...Object.keys(table.options), ...aliases(table).keys()]) {
    if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name) || name === 'help' || name === 'version') {
      throw new Error(`an option cannot be named ${name}`);
    }
  }
  return table;
}

/** The option with that name or alias; safe for any input (`constructor`). */
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

/** The texts that one source sets for an option, before its kind parses them. */
export interface RawValue {
  /** One per occurrence, in order. */
  readonly texts: readonly string[];
  /** The texts are a list's items; do not split them at commas. */
  readonly isItems: boolean;
  readonly source: Exclude<OptionSource, 'default'>;
  /** Names the source in errors: `--agent-port`, `FAIRLEAD_AGENT_PORT`, `a.yaml:3: agent-port`. */
  readonly origin: string;
}

/** All values of one source, by kebab-case name. */
export type RawValues = ReadonlyMap<string, RawValue>;
