import { readFileSync } from 'node:fs';
import { ConnectError } from '../connect/connect-error.ts';

/**
 * Reads the token that proves the agent's identity. It is read for each connection, since Kubernetes replaces
 * the file's content.
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
  // Checked here, because Node's error for an invalid header would show the token.
  if (!/^[\x21-\x7e]+$/.test(token)) fail(token === '' ? 'is empty' : 'holds no token');
  return token;
}

/** The header of RFC 6750; empty without a token file. @throws ConnectError `own_token` */
export function authorizationHeader(path: string | undefined): { authorization?: string } {
  return path === undefined ? {} : { authorization: `Bearer ${readAgentToken(path)}` };
}
