/** What autocannon can ask with; without CONNECT, whose answer is no answer but a tunnel. */
export const httpMethods: readonly string[] = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
];
