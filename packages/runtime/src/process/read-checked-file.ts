import { LineCounter, parseDocument } from 'yaml';
import type { z } from 'zod';
import { readNamedFile } from '../options/read/read-named-file.ts';
import type { NamedFile } from '../tls/pem-file.ts';
import { UsageError } from './usage-error.ts';

/**
 * Reads a file in YAML, and therefore JSON, that must have a certain form.
 *
 * @throws UsageError: one line with flag, file, line, and what is wrong there
 */
export function readCheckedFile<T>({ flag, path }: NamedFile, schema: z.ZodType<T>): T {
  const lineCounter = new LineCounter();
  const document = parseDocument(readNamedFile(flag, path), { lineCounter });
  const place = (offset: number): string =>
    `${flag}: ${path}:${Math.max(1, lineCounter.linePos(offset).line)}`;
  const fault = document.errors[0];
  if (fault) {
    // The library's message goes on with an excerpt of the file, after a colon.
    const [sentence = ''] = fault.message.split(/ at line|\n/);
    throw new UsageError(`${place(fault.pos[0])}: ${sentence.replace(/:$/, '')}`);
  }
  const result = schema.safeParse(plainValue(document, flag, path));
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const keys = issue.path.map(String);
  throw new UsageError(
    `${place(offsetOf(document, keys))}: ${keys.length > 0 ? `${keys.join('.')}: ` : ''}${issue.message}`,
  );
}

type Document = ReturnType<typeof parseDocument>;

function plainValue(document: Document, flag: string, path: string): unknown {
  try {
    return document.toJS();
  } catch (error) {
    // Aliases that multiply without end.
    throw new UsageError(`${flag}: ${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** Where the value is, or the nearest thing around it that is there. */
function offsetOf(document: Document, keys: readonly string[]): number {
  for (let depth = keys.length; depth > 0; depth--) {
    const path = keys.slice(0, depth).map((key) => (/^\d+$/.test(key) ? Number(key) : key));
    const node = document.getIn(path, true) as { range?: readonly number[] | null } | undefined;
    if (node?.range) return node.range[0]!;
  }
  return document.contents?.range?.[0] ?? 0;
}
