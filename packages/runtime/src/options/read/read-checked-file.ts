import { LineCounter, parseDocument } from 'yaml';
import type { z } from 'zod';
import { UsageError } from '../../process/startup-error.ts';
import type { NamedFile } from '../../tls/pem-file.ts';
import { readNamedFile } from './read-named-file.ts';

/**
 * Reads and validates a file in YAML, which includes JSON.
 *
 * @throws UsageError: one line with the flag, the file, the line and the mistake
 */
export function readCheckedFile<T>({ flag, path }: NamedFile, schema: z.ZodType<T>): T {
  const { document, position } = readYaml(flag, path, `${flag}: `);
  const result = schema.safeParse(plainValue(document, flag, path));
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const keys = issue.path.map(String);
  throw new UsageError(
    `${position(offsetOf(document, keys))}: ${keys.length > 0 ? `${keys.join('.')}: ` : ''}${issue.message}`,
  );
}

/**
 * Parses a file in YAML.
 *
 * @param prefix of positions in errors
 * @returns the document, and the position `FILE:LINE` of an offset in it
 * @throws UsageError with the position of the first mistake
 */
export function readYaml(
  origin: string,
  path: string,
  prefix = '',
): { readonly document: Document; position(offset: number): string } {
  const lineCounter = new LineCounter();
  const document = parseDocument(readNamedFile(origin, path), { lineCounter });
  const position = (offset: number) =>
    `${prefix}${path}:${Math.max(1, lineCounter.linePos(offset).line)}`;
  const fault = document.errors[0];
  if (fault) {
    // The library appends a position and an excerpt of the file to its message.
    const [sentence = ''] = fault.message.split(/ at line|\n/);
    throw new UsageError(`${position(fault.pos[0])}: ${sentence.replace(/:$/, '')}`);
  }
  return { document, position };
}

type Document = ReturnType<typeof parseDocument>;

function plainValue(document: Document, flag: string, path: string): unknown {
  try {
    return document.toJS();
  } catch (error) {
    // Too many aliases.
    throw new UsageError(`${flag}: ${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** The offset of the value, or of the innermost node around it that exists. */
function offsetOf(document: Document, keys: readonly string[]): number {
  for (let depth = keys.length; depth > 0; depth--) {
    const path = keys.slice(0, depth).map((key) => (/^\d+$/.test(key) ? Number(key) : key));
    const node = document.getIn(path, true) as { range?: readonly number[] | null } | undefined;
    if (node?.range) return node.range[0]!;
  }
  return document.contents?.range?.[0] ?? 0;
}
