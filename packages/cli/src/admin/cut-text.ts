/** Cuts a text to at most `maxChars` characters. The last one is `…` if the text was longer. */
export function cutText(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text;
  // A surrogate pair must not be cut in half.
  const kept = text.slice(0, maxChars - 1).replace(/[\ud800-\udbff]$/, '');
  return `${kept}…`;
}
