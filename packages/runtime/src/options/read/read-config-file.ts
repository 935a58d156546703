/** Reads `--config FILE`: YAML, which includes JSON, with the flags' names as keys. */
import { isAlias, isMap, isScalar, isSeq, type Node } from 'yaml';
import { UsageError } from '../../process/startup-error.ts';
import { nearestName } from '../nearest-name.ts';
import { type AnyOptionTable, findOption, type RawValue, type RawValues } from '../option-table.ts';
import { readYaml } from './read-checked-file.ts';

/**
 * @param origin names the flag or the variable: `--config`
 * @throws UsageError if the file cannot be read, is not a mapping, or has an unknown key
 */
export function readConfigFile(table: AnyOptionTable, origin: string, path: string): RawValues {
  const { document, position } = readYaml(origin, path);
  const root = document.contents;
  const values = new Map<string, RawValue>();
  if (root === null) return values;
  if (!isMap<Node, Node | null>(root)) {
    throw new UsageError(`${path}: must contain keys and values, such as "agent-port: 8091"`);
  }
  for (const { key, value } of root.items) {
    const name = scalarText(key) ?? '';
    const keyOrigin = `${position(key.range?.[0] ?? 0)}: ${name}`;
    checkKey(table, keyOrigin, name);
    const resolved = isAlias(value) ? value.resolve(document) : value;
    const texts = isSeq(resolved)
      ? resolved.items.map((item) => itemText(keyOrigin, item))
      : wholeText(keyOrigin, resolved ?? null);
    if (texts.length === 0 && !isSeq(resolved)) continue;
    values.set(name, { texts, isItems: isSeq(resolved), source: 'file', origin: keyOrigin });
  }
  return values;
}

function checkKey(table: AnyOptionTable, origin: string, name: string): void {
  if (name === 'config')
    throw new UsageError(`${origin}: a configuration file cannot refer to another one`);
  if (findOption(table, name)) return;
  const nearest = nearestName(name, Object.keys(table.options));
  const cure = nearest ? `did you mean ${nearest}?` : `see ${table.program} --help`;
  throw new UsageError(`${origin}: unknown key: ${cure}`);
}

/** One text; none for a key without a value, which counts as not set. */
function wholeText(origin: string, value: unknown): string[] {
  if (value === null || (isScalar(value) && value.value === null)) return [];
  return [itemText(origin, value)];
}

function itemText(origin: string, node: unknown): string {
  const text = scalarText(node);
  if (text === undefined)
    throw new UsageError(`${origin}: must be a plain value or a list of plain values`);
  return text;
}

/** A scalar as written, so that `agent-id: 007` stays "007" and does not become the number 7. */
function scalarText(node: unknown): string | undefined {
  if (!isScalar(node)) return undefined;
  return typeof node.value === 'string' ? node.value : (node.source ?? String(node.value));
}
