/** Texts for people: plurals, and the texts of others made safe for a terminal. */

/** `1 stream`, `2 streams`: for words whose plural ends in s. */
export function counted(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}

/**
 * Characters that JSON does not escape, although they end a line, control a terminal, or change the writing
 * direction.
 */
const unsafeInJson = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

const unsafeInText = new RegExp(`[\\u0000-\\u001f]|${unsafeInJson.source}`, 'g');

/** Escapes what `JSON.stringify` leaves unsafe. Such characters occur only within strings. */
export function escapeJsonLine(line: string): string {
  return line.replace(unsafeInJson, escaped);
}

/** A text of others, safe for a terminal: one line, with unsafe characters as `\u001b`. */
export function printable(text: string): string {
  return text.replace(unsafeInText, escaped);
}

/** The same value with each text in it printable, including the names of properties. */
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
