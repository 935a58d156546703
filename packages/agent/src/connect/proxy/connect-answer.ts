import type { Duplex } from 'node:stream';
import { readSome } from '@fairlead/protocol';

const HEAD_END = '\r\n\r\n';
/** The limit of node:http. */
const MAX_HEAD_BYTES = 16_384;
const token = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
const statusLine = /^HTTP\/1\.[01] ([1-9]\d\d)(?: (.*))?$/;
const challengeField = /^proxy-authenticate:(.*)$/i;
const quotedString = /"(?:[^"\\]|\\.)*"/g;
/** A challenge begins with its scheme, a parameter is `name=value` (RFC 9110 section 11.6.1). */
const schemeStart = new RegExp(`^(${token})(?: +(?!=)|$)`);

/** A proxy's answer to CONNECT. */
export interface ConnectAnswer {
  readonly status: number;
  /** The reason phrase. */
  readonly text: string;
  /** The values of Proxy-Authenticate. */
  readonly challenges: string;
}

/**
 * Reads the final answer to a CONNECT over HTTP/1.1, and skips interim answers (RFC 9110 section 15.2). node:http would
 * take the first interim answer for the final one. Fields about a body have no meaning after a 2xx (section 9.3.6). Bytes
 * after the head are put back.
 */
export async function readConnectAnswer(socket: Duplex): Promise<ConnectAnswer> {
  let bytes = Buffer.alloc(0);
  for (;;) {
    const end = bytes.indexOf(HEAD_END);
    if (end < 0) {
      if (bytes.length > MAX_HEAD_BYTES) throw new Error('the head of the answer is too long');
      const chunk = await readSome(socket);
      if (!chunk) throw new Error('the proxy closed the connection before it answered');
      bytes = Buffer.concat([bytes, chunk]);
      continue;
    }
    const answer = parseHead(bytes.toString('latin1', 0, end));
    bytes = bytes.subarray(end + HEAD_END.length);
    if (answer.status < 200) continue;
    if (bytes.length > 0) socket.unshift(bytes);
    return answer;
  }
}

/** The names of the authentication schemes in a Proxy-Authenticate field. */
export function schemesOf(challenges: string): string[] {
  const parts = challenges.replace(quotedString, '""').split(',');
  return parts.flatMap((part) => schemeStart.exec(part.trim())?.[1] ?? []);
}

function parseHead(head: string): ConnectAnswer {
  const [first = '', ...fields] = head.split('\r\n');
  const [, status, text = ''] = statusLine.exec(first) ?? [];
  if (status === undefined) throw new Error(`the answer is not HTTP/1.1: ${first.slice(0, 40)}`);
  const challenges = fields.flatMap((field) => challengeField.exec(field)?.[1]?.trim() ?? []);
  return { status: Number(status), text, challenges: challenges.join(', ') };
}
