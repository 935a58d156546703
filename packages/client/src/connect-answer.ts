/** The answer of an HTTP/1.1 front end to CONNECT. */
import { ClientError } from './client-error.ts';

const headEnd = '\r\n\r\n';
const maxHeadBytes = 16_384;
/** A refusal is one line. */
const maxBodyBytes = 4096;

/** Collects the head of the answer, and the body of a refusal, from chunks of any size. */
export class ConnectAnswer {
  #text = '';

  /**
   * @returns the bytes after the head of a 200; undefined if the answer is incomplete
   * @throws ClientError with the front end's code and text, or `proxy_protocol`
   */
  push(bytes: Buffer): Buffer | undefined {
    const before = this.#text.length;
    this.#text += bytes.toString('latin1');
    const end = this.#text.indexOf(headEnd);
    if (end < 0) {
      if (this.#text.length <= maxHeadBytes && looksLikeHttp(this.#text)) return undefined;
      throw notHttp(this.#text);
    }
    const head = this.#text.slice(0, end);
    if (/^HTTP\/1\.[01] 200\b/.test(head)) return bytes.subarray(end + headEnd.length - before);
    if (!/^HTTP\/1\.[01] \d{3}\b/.test(head)) throw notHttp(head);
    const body = this.#text.slice(end + headEnd.length);
    const length = Number(headerOf(head, 'content-length') ?? 0);
    if (body.length < Math.min(length, maxBodyBytes)) return undefined;
    throw this.refusal()!;
  }

  /** The front end's refusal, as far as it was received; undefined if the head is incomplete. */
  refusal(): ClientError | undefined {
    const end = this.#text.indexOf(headEnd);
    if (end < 0) return undefined;
    const head = this.#text.slice(0, end);
    const status = head.slice(0, head.indexOf('\r\n') < 0 ? end : head.indexOf('\r\n'));
    const body = Buffer.from(this.#text.slice(end + headEnd.length), 'latin1').toString('utf8');
    return refusalOf(status, headerOf(head, 'fairlead-error'), body);
  }
}

/**
 * Turns a refusal into an error. Without a `fairlead-error` header, the code is `status_403`.
 * @param status `403`, or a whole status line
 */
export function refusalOf(status: string, code: string | undefined, body: string): ClientError {
  const [line = ''] = body.trim().split('\n');
  const number = /\b(\d{3})\b/.exec(status)?.[1] ?? status;
  const known = code !== undefined && /^[a-z_]{1,64}$/.test(code);
  return new ClientError(
    known ? code : `status_${number}`,
    line === '' ? `CONNECT was answered with "${status}"` : line.slice(0, 500),
  );
}

function headerOf(head: string, name: string): string | undefined {
  const row = head.split('\r\n').find((line) => line.toLowerCase().startsWith(`${name}:`));
  return row?.slice(name.length + 1).trim();
}

const looksLikeHttp = (text: string): boolean =>
  text.startsWith('HTTP/1.'.slice(0, Math.min(text.length, 7)));

function notHttp(text: string): ClientError {
  const shown = JSON.stringify(text.slice(0, 40));
  return new ClientError('proxy_protocol', `the peer answered ${shown}, which is not HTTP/1.1`);
}
