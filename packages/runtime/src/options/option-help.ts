import {
  type AnyOption,
  type AnyOptionTable,
  camelCase,
  envName,
  findOption,
  type LiveOption,
  type OptionDeclarations,
  type OptionTable,
  type OptionValues,
} from './option-table.ts';

const widthChars = 100;
const indentChars = 8;

/** The text of `--help`: usage, options by group with their defaults, and ignored flags. */
export function helpText(table: AnyOptionTable): string {
  const usage = ['Usage:', table.program, '[flags]', table.positionals?.usage].filter(Boolean);
  const lines = [table.summary, '', usage.join(' ')];
  const { examples = [] } = table;
  if (examples.length > 0) lines.push('', 'Examples:', ...examples.map((line) => `  ${line}`));
  for (const [group, options] of optionsByGroup(table)) {
    lines.push('', `${group}:`);
    for (const [name, option] of options) lines.push(...optionLines(name, option));
  }
  lines.push('', 'Help:', '  -h, --help', '      --version');
  const inert = Object.keys(table.options).filter(
    (name) => table.options[name]?.standing === 'ignored',
  );
  if (inert.length > 0) {
    lines.push('', 'Ignored with a warning:');
    lines.push(...wrap(inert.map((name) => `--${name}`).join(' '), '  '));
  }
  lines.push('', ...wrap(sourcesText(table), ''));
  return `${lines.join('\n')}\n`;
}

/** The live options by group, in the table's order. */
export function optionsByGroup(
  table: AnyOptionTable,
): Map<string, [string, LiveOption<unknown>][]> {
  const groups = new Map<string, [string, LiveOption<unknown>][]>();
  for (const [name, option] of Object.entries(table.options)) {
    if (option.standing !== 'live') continue;
    const group = groups.get(option.group) ?? [];
    group.push([name, option]);
    groups.set(option.group, group);
  }
  return groups;
}

/** The default as a user would write it; undefined if there is none. */
export function defaultText(option: AnyOption): string | undefined {
  if (option.standing === 'live' && option.defaultText !== undefined) return option.defaultText;
  const value = option.standing === 'live' ? option.makeDefault() : option.default;
  if (value === undefined) return undefined;
  const written = option.kind.format(value);
  return written === '' ? undefined : written;
}

function optionLines(name: string, option: LiveOption<unknown>): string[] {
  const short = option.short ? `-${option.short}, ` : '    ';
  const marks = [
    option.required ? 'required' : undefined,
    defaultText(option) && `default ${defaultText(option)}`,
    option.env && `also ${option.env.join(', ')}`,
    option.deprecated && 'deprecated',
  ].filter(Boolean);
  const end = marks.length > 0 ? ` (${marks.join('; ')})` : '';
  const written =
    option.notAsFlag === undefined ? `--${name} ${option.kind.placeholder}` : envName(name);
  return [
    `  ${short}${written}`.trimEnd(),
    ...wrap(`${option.description}${end}`, ' '.repeat(indentChars)),
  ];
}

function sourcesText(table: AnyOptionTable): string {
  const file = findOption(table, 'config') ? ', or as keys of the file that --config names' : '';
  return `Every flag can be set in the environment as FAIRLEAD_<NAME>, in upper case with _ for -${file}. A flag wins over the environment, the environment over the file.`;
}

function wrap(text: string, indent: string): string[] {
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(' ')) {
    if (line.length + 1 + word.length > widthChars && line.trim() !== '') {
      lines.push(line);
      line = indent;
    }
    line += line.length === indent.length ? word : ` ${word}`;
  }
  return [...lines, line];
}

/**
 * The options for the first log line: each value that is set, as a user would write it, by kebab-case name.
 * Secrets become `[redacted]`; a URL's kind masks its password.
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
