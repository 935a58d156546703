/**
 * What JSON leaves as it is and readers of logs do not: other line ends, control characters of terminals,
 * what turns the direction of writing.
 */
const unsafeInJson = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

const unsafeInText = new RegExp(`[\\u0000-\\u001f]|${unsafeInJson.source}`, 'g');

/** A line of JSON in which no string moves a terminal. Such characters can only be within strings. */
export function escapeJsonLine(line: string): string {
  return line.replace(unsafeInJson, escaped);
}

/** Text of others as it may be shown on a terminal: on one line, with `\u001b` for what would move it. */
export function printable(text: string): string {
  return text.replace(unsafeInText, escaped);
}

/** The same value with every text in it printable, also the names of its properties. */
export function printableAll<T>(value: T): T {
  return printableValue(value) as T;
}

function printableValue(value: unknown): unknown {
  if (typeof value === 'string') return printable(value);
  if (Array.isArray(value)) return value.map(printableValue);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [printable(name), printableValue(inner)]),
  );
}

const escaped = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
