/** Parses options. Precedence: flag, environment, file, default. */
import { UsageError } from '../../process/startup-error.ts';
import {
  type AnyOptionTable,
  aliases,
  type CheckContext,
  camelCase,
  type InertOption,
  type LiveOption,
  type OptionDeclarations,
  type OptionSource,
  type OptionTable,
  type OptionValues,
  type RawValue,
  type RawValues,
} from '../option-table.ts';
import { readArgv } from './read-argv.ts';
import { readConfigFile } from './read-config-file.ts';
import { readEnv } from './read-env.ts';

export interface ParseInput {
  /** Without node and the script. */
  readonly argv: readonly string[];
  /** `process.env` fits. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface ParsedOptions<D extends OptionDeclarations> {
  readonly options: OptionValues<D>;
  readonly positionals: readonly string[];
  /** One line each, for the log. */
  readonly warnings: readonly string[];
  /** The source of each live option's value, by kebab-case name. */
  readonly sources: ReadonlyMap<string, OptionSource>;
}

/**
 * Parses and checks a program's options. At `--help` and `--version` it stops reading flags; the caller
 * handles these (command-line.ts).
 *
 * @throws UsageError on the first mistake: one line with the flag, variable or file
 */
export function parseOptions<D extends OptionDeclarations>(
  table: OptionTable<D>,
  { argv, env }: ParseInput,
): ParsedOptions<D> {
  const flags = readArgv(table, argv);
  const { values: envValues, warnings: envWarnings } = readEnv(table, env);
  const warnings = [...envWarnings];
  const fileValues = readNamedConfig(table, flags.values.get('config') ?? envValues.get('config'));
  const given = [flags.values, envValues, fileValues].map((values) => byName(table, values));

  const values: Record<string, unknown> = {};
  const sources = new Map<string, OptionSource>();
  for (const [name, option] of Object.entries(table.options)) {
    const raw = given.find((source) => source.has(name))?.get(name);
    if (option.standing === 'live') {
      const value = raw && readValue(option, raw);
      if (raw && option.deprecated)
        warnings.push(`${raw.origin} is deprecated: ${option.deprecated}`);
      if (value === undefined && option.required) {
        throw new UsageError(`--${name} is missing: ${option.description}`);
      }
      values[camelCase(name)] = value ?? option.makeDefault();
      sources.set(name, raw && value !== undefined ? raw.source : 'default');
    } else if (raw) {
      warnings.push(...checkInert(option, raw));
    }
  }

  const options = values as OptionValues<D>;
  table.check?.(options, checkContext(sources, warnings));
  return { options, positionals: flags.positionals, warnings, sources };
}

/**
 * Completes the options of a program that is used as a library: adds the defaults and runs the table's
 * check.
 *
 * @throws UsageError as parseOptions
 */
export function completeOptions<D extends OptionDeclarations>(
  table: OptionTable<D>,
  given: Partial<OptionValues<D>>,
): OptionValues<D> {
  const givenByKey = given as Readonly<Record<string, unknown>>;
  const values: Record<string, unknown> = {};
  const sources = new Map<string, OptionSource>();
  for (const [name, option] of Object.entries(table.options)) {
    if (option.standing !== 'live') continue;
    const value = givenByKey[camelCase(name)];
    values[camelCase(name)] = value ?? option.makeDefault();
    sources.set(name, value === undefined ? 'default' : 'flag');
  }
  const options = values as OptionValues<D>;
  table.check?.(options, checkContext(sources, []));
  return options;
}

function readNamedConfig(table: AnyOptionTable, raw: RawValue | undefined): RawValues {
  const path = raw?.texts.at(-1);
  return raw && path ? readConfigFile(table, raw.origin, path) : new Map();
}

/**
 * The values of one source, with aliases replaced by names.
 *
 * @throws UsageError if the source sets different values by name and by alias
 */
function byName(table: AnyOptionTable, values: RawValues): RawValues {
  const merged = new Map(values);
  for (const [alias, name] of aliases(table)) {
    const byAlias = merged.get(alias);
    if (!byAlias) continue;
    merged.delete(alias);
    const { origin, texts } = merged.get(name) ?? byAlias;
    if (texts.join() !== byAlias.texts.join()) {
      throw new UsageError(
        `${origin} and ${byAlias.origin} are the same option with two values: set ${origin} only`,
      );
    }
    if (!merged.has(name)) merged.set(name, byAlias);
  }
  return merged;
}

/** @returns undefined for an empty text if that means "not set" */
function readValue(option: LiveOption<unknown>, raw: RawValue): unknown {
  const { kind } = option;
  const last = raw.texts.at(-1);
  if (kind.emptyIsUnset && !raw.isItems && last === '') return undefined;
  if (!kind.isList && raw.isItems)
    throw new UsageError(`${raw.origin}: must be one value, not a list`);

  const items = raw.isItems ? raw.texts : raw.texts.flatMap(splitList);
  const result = kind.schema.safeParse(kind.isList ? items : last);
  if (result.success) return result.data;

  const issue = result.error.issues[0];
  // For a list, the path of an issue is the item's index.
  const at = issue?.path[0];
  const text = kind.isList && typeof at === 'number' ? items[at] : last;
  const subject = option.secret ? 'the value' : `"${text ?? ''}"`;
  throw new UsageError(`${raw.origin}: ${subject} ${issue?.message}`);
}

function splitList(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function checkInert(option: InertOption, raw: RawValue): string[] {
  if (option.standing === 'ignored') return [`${raw.origin} has no effect: ${option.reason}`];
  const text = raw.texts.join(',');
  const read = option.kind.schema.safeParse(text);
  const isDefault = text === '' || (read.success && read.data === option.default);
  if (!isDefault) throw new UsageError(`${raw.origin}: ${option.reason}`);
  return [];
}

function checkContext<D extends OptionDeclarations>(
  sources: ReadonlyMap<string, OptionSource>,
  warnings: string[],
): CheckContext<D> {
  return {
    isGiven: (name) => sources.get(name) !== 'default',
    warn: (text) => warnings.push(text),
  };
}
