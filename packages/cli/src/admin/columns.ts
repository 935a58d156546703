import { cutText } from './cut-text.ts';

/** A longer cell is cut, unless it is the last of its row, so that one name does not widen the table. */
const maxCellChars = 64;

export function columns(rows: readonly (readonly string[])[]): string[] {
  const cut = rows.map((row) =>
    row.map((cell, index) => (index < row.length - 1 ? cutText(cell, maxCellChars) : cell)),
  );
  const widths = cut[0]!.map((_, index) => Math.max(...cut.map((row) => row[index]!.length)));
  return cut.map((row) =>
    row
      .map((cell, index) => cell.padEnd(widths[index]!))
      .join('  ')
      .trimEnd(),
  );
}
