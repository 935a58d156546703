import { readFileSync } from 'node:fs';
import { ConnectError } from '../connect/connect-error.ts';

/**
 * Reads the token with which the agent says who it is, each time anew: Kubernetes replaces what is in the
 * file.
 * @throws ConnectError `own_token`
 */
export function readAgentToken(path: string): string {
  const fail = (text: string, cause?: unknown): never => {
    const message = `--service-account-token-path: ${path}: ${text}`;
    throw new ConnectError('own_token', message, { cause });
  };
  let token = '';
  try {
    token = readFileSync(path, 'utf8').trim();
  } catch (error) {
    fail(`cannot be read: ${(error as Error).message}`, error);
  }
  // What cannot be in a header must not get as far as one: Node's complaint would quote it.
  if (!/^[\x21-\x7e]+$/.test(token)) fail(token === '' ? 'is empty' : 'does not hold a token');
  return token;
}

/** The header of RFC 6750 for a request; none without a token. @throws ConnectError `own_token` */
export function authorizationHeader(path: string | undefined): { authorization?: string } {
  return path === undefined ? {} : { authorization: `Bearer ${readAgentToken(path)}` };
}
