import { once } from 'node:events';
import { get as getHttp, type IncomingMessage } from 'node:http';
import { get as getHttps } from 'node:https';
import { text } from 'node:stream/consumers';
import { kinds, option } from '@fairlead/runtime/options';
import { printable, StartupError, UsageError } from '@fairlead/runtime/process';
import { explainTlsFailure, isPlaintext } from '@fairlead/runtime/tls';
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
const cure = 'Set --admin to the --admin-port of a running server';

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
  let answer: Answer;
  try {
    answer = await getText(url);
  } catch (error) {
    throw new StartupError(`--admin ${admin.href}: ${explainNoAnswer(error as Error)}`, {
      cause: error,
    });
  }
  const { status, body, isFrontEnd } = answer;
  if (isFrontEnd) throw new StartupError(`--admin ${admin.href}: ${shown(body)}. ${cure}`);
  if (status === 404 && /^not found; try .*\/healthz/.test(body) && !body.includes('/api/')) {
    throw new StartupError(`--admin ${admin.href}: this is a health port. ${cure}`);
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

function explainNoAnswer(error: NodeJS.ErrnoException): string {
  if (isPlaintext(error)) return `the port answers without TLS. Write http:// instead of https://`;
  const { cause, code } = error;
  // If several addresses fail, only the cause has a message.
  const reason = cause instanceof Error ? cause.message : explainTlsFailure(error) || code;
  return `no answer (${reason}). ${cure}`;
}

interface Answer {
  readonly status: number;
  readonly body: string;
  /** Whether the answer is a refusal of a front end or of the agent port. */
  readonly isFrontEnd: boolean;
}

/** Uses node:http, because `fetch` refuses ports such as 6000 and 10080. */
async function getText(url: URL): Promise<Answer> {
  const get = url.protocol === 'https:' ? getHttps : getHttp;
  const request = get(url, { agent: false, signal: AbortSignal.timeout(timeoutMs) });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const isFrontEnd = response.headers['fairlead-error'] !== undefined;
  return { status: response.statusCode ?? 0, body: await text(response), isFrontEnd };
}

/** An untrusted answer as one printable line. */
function shown(body: string): string {
  return printable(cutText(body.trim(), maxShownChars));
}
