import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { cleanText } from '@fairlead/protocol';
import { ConnectError, type ConnectFailure } from './connect-error.ts';

/** A server's reason is one line; of a proxy's HTML page the beginning has to do. */
const maxBodyBytes = 1024;

/** Codes of docs/errors.md with which a server refuses an agent, whatever the transport. */
const identityCodes: Readonly<Record<string, ConnectFailure>> = {
  unauthenticated: 'identity_refused',
  unauthorized: 'identity_refused',
  authentication_unavailable: 'identity_unknown',
};

/** Which failure a server's code stands for; undefined for one that is not about who the agent is. */
export function identityFailure(code: unknown): ConnectFailure | undefined {
  return typeof code === 'string' && Object.hasOwn(identityCodes, code)
    ? identityCodes[code]
    : undefined;
}

/** The error for an HTTP answer other than the wanted one, with the beginning of its body. */
export async function refusedByHttp(
  address: string,
  status: number | undefined,
  headers: IncomingHttpHeaders,
  body: Readable,
): Promise<ConnectError> {
  const text = cleanText(await beginningOf(body));
  const reason = identityFailure(headers['fairlead-error']) ?? 'http_refused';
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
