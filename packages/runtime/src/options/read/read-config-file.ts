/** `--config FILE`: YAML, and therefore JSON, with the flags' names as keys. */
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { UsageError } from '../../process/usage-error.ts';
import { nearestName } from '../nearest-name.ts';
import { type AnyOptionTable, findOption } from '../option-table.ts';
import type { RawValue, RawValues } from './raw-value.ts';
import { readNamedFile } from './read-named-file.ts';

/**
 * @param origin what names the file: `--config`
 * @throws UsageError on a file that cannot be read, is no mapping, or has an unknown key
 */
export function readConfigFile(table: AnyOptionTable, origin: string, path: string): RawValues {
  const lineCounter = new LineCounter();
  const document = parseDocument(readNamedFile(origin, path), { lineCounter });
  const fault = document.errors[0];
  if (fault) {
    const line = lineCounter.linePos(fault.pos[0]).line;
    // The library's message goes on with an excerpt of the file, after a colon.
    const [sentence = ''] = fault.message.split(/ at line|\n/);
    throw new UsageError(`${path}:${line}: ${sentence.replace(/:$/, '')}`);
  }
  const root = document.contents;
  const values = new Map<string, RawValue>();
  if (root === null) return values;
  if (!isMap<Node, Node | null>(root)) {
    throw new UsageError(`${path}: must hold keys and values, such as "agent-port: 8091"`);
  }
  for (const { key, value } of root.items) {
    const line = lineCounter.linePos(key.range?.[0] ?? 0).line;
    const name = scalarText(key) ?? '';
    const place = `${path}:${line}: ${name}`;
    checkKey(table, place, name);
    const resolved = isAlias(value) ? value.resolve(document) : value;
    const texts = isSeq(resolved)
      ? resolved.items.map((item) => itemText(place, item))
      : wholeText(place, resolved ?? null);
    if (texts.length === 0 && !isSeq(resolved)) continue;
    values.set(name, { texts, isItems: isSeq(resolved), source: 'file', origin: place });
  }
  return values;
}

function checkKey(table: AnyOptionTable, place: string, name: string): void {
  if (name === 'config') throw new UsageError(`${place}: a configuration file cannot name another`);
  if (findOption(table, name)) return;
  const nearest = nearestName(name, Object.keys(table.options));
  const cure = nearest ? `did you mean ${nearest}?` : `see ${table.program} --help`;
  throw new UsageError(`${place}: unknown key: ${cure}`);
}

/** One text; none for a key without a value, which counts as not given. */
function wholeText(place: string, value: unknown): string[] {
  if (value === null || (isScalar(value) && value.value === null)) return [];
  return [itemText(place, value)];
}

function itemText(place: string, node: unknown): string {
  const text = scalarText(node);
  if (text === undefined) throw new UsageError(`${place}: must be a plain value or a list of them`);
  return text;
}

/** A scalar as it was written, so that `agent-id: 007` stays "007" and is not the number 7. */
function scalarText(node: unknown): string | undefined {
  if (!isScalar(node)) return undefined;
  return typeof node.value === 'string' ? node.value : (node.source ?? String(node.value));
}
