/** At most so many characters of a text, the last one `…` where something is left out. */
export function cutText(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text;
  // Half of a character that takes two places is none.
  const kept = text.slice(0, maxChars - 1).replace(/[\ud800-\udbff]$/, '');
  return `${kept}…`;
}
