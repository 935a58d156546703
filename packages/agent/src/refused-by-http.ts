import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { cleanText } from '@fairlead/protocol';
import { ConnectError } from './connect-error.ts';

/** A server's reason is one line; of a proxy's HTML page the beginning has to do. */
const maxBodyBytes = 1024;

/** Codes of docs/errors.md with which a server refuses an agent, whatever the transport. */
const identityCodes: readonly unknown[] = ['unauthenticated', 'unauthorized'];

/** The error for an HTTP answer other than the wanted one, with the beginning of its body. */
export async function refusedByHttp(
  address: string,
  status: number | undefined,
  headers: IncomingHttpHeaders,
  body: Readable,
): Promise<ConnectError> {
  const code = headers['fairlead-error'];
  const text = cleanText(await beginningOf(body));
  const reason = identityCodes.includes(code) ? 'own_certificate' : 'http_refused';
  return new ConnectError(
    reason,
    `the server at ${address} answered with HTTP status ${status}${text && `: ${text}`}`,
  );
}

async function beginningOf(body: Readable): Promise<string> {
  let text = '';
  try {
    for await (const chunk of body) {
      text += chunk;
      if (text.length >= maxBodyBytes) break;
    }
  } catch {
    // A body that was cut short is still worth its beginning.
  }
  return text;
}
