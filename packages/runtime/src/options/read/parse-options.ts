/** From what was written to what the program gets. Precedence: flag, environment, file, default. */

import { UsageError } from '../../process/usage-error.ts';
import type { InertOption, LiveOption } from '../option.ts';
import {
  type AnyOptionTable,
  aliases,
  type CheckContext,
  camelCase,
  type OptionDeclarations,
  type OptionSource,
  type OptionTable,
  type OptionValues,
} from '../option-table.ts';
import type { RawValue, RawValues } from './raw-value.ts';
import { readArgv } from './read-argv.ts';
import { readConfigFile } from './read-config-file.ts';
import { type Env, readEnv } from './read-env.ts';

export interface ParseInput {
  /** Without node and the script. */
  readonly argv: readonly string[];
  readonly env: Env;
}

export interface ParsedOptions<D extends OptionDeclarations> {
  readonly options: OptionValues<D>;
  readonly positionals: readonly string[];
  /** One line each, for the log. */
  readonly warnings: readonly string[];
  /** Where each live option's value came from, by kebab-case name. */
  readonly sources: ReadonlyMap<string, OptionSource>;
}

/**
 * Reads and checks a program's options. `--help` and `--version` are the caller's business
 * (command-line.ts); here they end the reading of flags.
 *
 * @throws UsageError on the first mistake: one line that names the flag, variable or file
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
      warnings.push(...judgeInert(option, raw));
    }
  }

  const options = values as OptionValues<D>;
  table.check?.(options, checkContext(sources, warnings));
  return { options, positionals: flags.positionals, warnings, sources };
}

/**
 * The options of a program that is used as a library: what is not given has its default, and the
 * table's checks apply.
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
 * What one source gives, with the names of options instead of aliases.
 *
 * @throws UsageError if the source gives different values by name and by alias
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
        `${origin} and ${byAlias.origin} are one option with two values: give ${origin} only`,
      );
    }
    if (!merged.has(name)) merged.set(name, byAlias);
  }
  return merged;
}

/** @returns undefined for an empty text where that means "not given" */
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
  // An issue of a list's item has the item's index as its path.
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

/** @returns the warnings to log */
function judgeInert(option: InertOption, raw: RawValue): string[] {
  if (option.standing === 'ignored') return [`${raw.origin} has no effect: ${option.reason}`];
  const text = raw.texts.join(',');
  const read = option.kind.schema.safeParse(text);
  const asksForNothing = text === '' || (read.success && read.data === option.default);
  if (!asksForNothing) throw new UsageError(`${raw.origin}: ${option.reason}`);
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
