import { parseDocument } from 'yaml';
import { readNamedFile } from './read-named-file.ts';
import { UsageError } from './usage-error.ts';

/**
 * Reads a YAML file, and therefore a JSON one, as plain values.
 *
 * @param origin what names the file: `--peers-file`
 * @throws UsageError with origin, path and, for bad YAML, the line
 */
export function readYamlFile(origin: string, path: string): unknown {
  const document = parseDocument(readNamedFile(origin, path));
  const fault = document.errors[0];
  if (!fault) return document.toJS();
  // The library's message goes on with an excerpt of the file.
  const [sentence = ''] = fault.message.split(/:?\n/);
  throw new UsageError(`${origin}: ${path}: ${sentence}`, { cause: fault });
}
