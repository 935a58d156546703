/** The methods of an HTTP load. CONNECT is missing, because it opens a tunnel instead of an answer. */
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
