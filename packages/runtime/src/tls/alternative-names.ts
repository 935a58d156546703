/** One subject alternative name: `DNS`, `IP Address`, `URI` and others, as OpenSSL calls them. */
export interface AlternativeName {
  readonly type: string;
  readonly value: string;
}

const entry = /([A-Za-z][A-Za-z0-9 ]*):((?:[^,"]|"(?:[^"\\]|\\.)*")*)(?:, |$)/y;

/**
 * Splits what `X509Certificate.subjectAltName` says. A value that holds a comma or a quote, which could
 * pass for the end of its entry, is a JSON string there (CVE-2021-44532), and is read as one.
 *
 * @returns undefined if any part has another form: then no part can be trusted
 */
export function parseAlternativeNames(text: string): AlternativeName[] | undefined {
  const names: AlternativeName[] = [];
  entry.lastIndex = 0;
  while (entry.lastIndex < text.length) {
    const found = entry.exec(text);
    if (!found) return undefined;
    const [whole, type = '', written = ''] = found;
    if (entry.lastIndex === text.length && whole.endsWith(', ')) return undefined;
    const value = written.startsWith('"') ? jsonString(written) : written;
    if (value === undefined) return undefined;
    names.push({ type, value });
  }
  return names;
}

function jsonString(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}
