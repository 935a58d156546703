import { once } from 'node:events';
import { get as getHttp, type IncomingMessage } from 'node:http';
import { get as getHttps } from 'node:https';
import { text } from 'node:stream/consumers';
import { kinds, option } from '@fairlead/runtime/options';
import { printable, StartupError, UsageError } from '@fairlead/runtime/process';
import { cutText } from './cut-text.ts';

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
 * Requests JSON from the admin port of a server.
 * @throws UsageError if the server answers 400, StartupError for any other failure
 */
export async function askAdmin(
  admin: URL,
  path: string,
  query: readonly (readonly [name: string, value: string])[] = [],
): Promise<unknown> {
  const url = new URL(path, admin);
  for (const [name, value] of query) url.searchParams.append(name, value);
  let status: number;
  let body: string;
  try {
    ({ status, body } = await getText(url));
  } catch (error) {
    const { message, cause, code } = error as NodeJS.ErrnoException;
    // If several addresses fail, only the cause has a message.
    const reason = cause instanceof Error ? cause.message : message || code;
    throw new StartupError(
      `--admin ${admin.href}: no answer (${reason}); is this the admin port of a running server?`,
      { cause: error },
    );
  }
  if (status === 400) throw new UsageError(shown(body));
  if (status < 200 || status > 299) {
    throw new StartupError(`--admin ${admin.href}: ${status}: ${shown(body)}`);
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

/** Uses node:http, because `fetch` refuses ports such as 6000 and 10080. */
async function getText(url: URL): Promise<{ status: number; body: string }> {
  const get = url.protocol === 'https:' ? getHttps : getHttp;
  const request = get(url, { agent: false, signal: AbortSignal.timeout(timeoutMs) });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return { status: response.statusCode ?? 0, body: await text(response) };
}

/** An untrusted answer as one printable line. */
function shown(body: string): string {
  return printable(cutText(body.trim(), maxShownChars));
}
