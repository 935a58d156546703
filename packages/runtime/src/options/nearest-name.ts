/**
 * The known name that is most similar to a mistyped one, for "did you mean"; undefined if none is similar.
 *
 * The measure is optimal string alignment: one step inserts, removes or replaces a letter, or swaps two
 * adjacent ones. At most two letters or a third of the name may differ, never all.
 */
export function nearestName(typed: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  const most = Math.min(typed.length - 1, Math.max(2, Math.floor(typed.length / 3)));
  let bestDistance = most + 1;
  for (const name of known) {
    const distance = alignmentDistance(typed, name);
    if (distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
  }
  return best;
}

function alignmentDistance(a: string, b: string): number {
  // rows[i][j]: the distance between the first i letters of a and the first j of b.
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const above = rows[i - 1]!;
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let least = Math.min(above[j]! + 1, row[j - 1]! + 1, replaced);
      if (a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, (rows[i - 2]?.[j - 2] ?? Number.POSITIVE_INFINITY) + 1);
      }
      row.push(least);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}
