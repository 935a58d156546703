import { kinds, option, printable, StartupError, UsageError } from '@fairlead/runtime';
import { cutText } from './cut-text.ts';

/** `--admin`, for the tables of commands that ask a running server. */
export const adminOptions = {
  admin: option(kinds.httpUrl, {
    group: 'Server',
    description: "URL of the server's admin port",
    default: new URL('http://127.0.0.1:8095'),
    defaultText: 'http://127.0.0.1:8095',
  }),
  json: option(kinds.boolean, {
    group: 'Output',
    description: 'Print the answer as JSON, for programs',
    default: false,
  }),
};

const timeoutMs = 10_000;
const maxShownChars = 1_024;

/**
 * Asks the admin port of a server for JSON.
 * @throws UsageError for what the server calls a bad request, StartupError when there is no answer
 */
export async function askAdmin(
  admin: URL,
  path: string,
  query: readonly (readonly [name: string, value: string])[] = [],
): Promise<unknown> {
  const url = new URL(path, admin);
  for (const [name, value] of query) url.searchParams.append(name, value);
  let response: Response;
  let body: string;
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
    body = await response.text();
  } catch (error) {
    const { message, cause } = error as Error;
    const reason = cause instanceof Error ? cause.message : message;
    throw new StartupError(
      `--admin ${admin.href}: no answer (${reason}); is this the admin port of a running server?`,
      { cause: error },
    );
  }
  if (response.status === 400) throw new UsageError(shown(body));
  if (!response.ok) {
    throw new StartupError(`--admin ${admin.href}: ${response.status}: ${shown(body)}`);
  }
  try {
    return JSON.parse(body);
  } catch (error) {
    throw new StartupError(
      `--admin ${admin.href}: the answer is not JSON; is this the admin port of a server (its --admin-port, not its health port)?`,
      { cause: error },
    );
  }
}

/** An answer in words, on one line. Whatever is at that address wrote it. */
function shown(body: string): string {
  return printable(cutText(body.trim(), maxShownChars));
}
