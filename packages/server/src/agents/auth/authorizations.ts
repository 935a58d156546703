/**
 * All Authorization headers of a request, from its raw headers: names and values in turns. Node's parsed
 * headers leave all but the first out.
 */
export function authorizationsOf(rawHeaders: readonly string[]): string[] {
  return rawHeaders.filter(
    (_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === 'authorization',
  );
}
