import {
  camelCase,
  type OptionDeclarations,
  type OptionTable,
  type OptionValues,
} from './option-table.ts';

/**
 * The options for the start-up log line: every value that is set, as a user would write it, by
 * kebab-case name. Secrets read `[redacted]`; passwords in URLs are masked by their kind.
 */
export function describeOptions<D extends OptionDeclarations>(
  table: OptionTable<D>,
  options: OptionValues<D>,
): Readonly<Record<string, string>> {
  const valuesByKey = options as Readonly<Record<string, unknown>>;
  const described: Record<string, string> = {};
  for (const [name, option] of Object.entries(table.options)) {
    const value = valuesByKey[camelCase(name)];
    if (option.standing !== 'live' || value === undefined) continue;
    const written = option.secret ? '[redacted]' : option.kind.format(value);
    if (written !== '') described[name] = written;
  }
  return described;
}
