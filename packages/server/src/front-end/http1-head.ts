import { TunnelError } from '@fairlead/protocol';

const headEnd = '\r\n\r\n';

/** `method target HTTP/x.y`, one space apart (RFC 9112 section 3). */
const requestLine = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!-~]+) HTTP\/([0-9]\.[0-9])$/;
/** RFC 9112 section 5: no space before the colon, no line folding. Values may contain bytes above ASCII (obs-text). */
const fieldLine = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/;
/** What no head contains, wherever a read cuts it. */
const forbidden = /[^\t\r\n\x20-\x7e\x80-\xff]|[^\r]\n|\r[^\n]/;
const methodStart = /^([A-Z]|$)/;

/** A complete head. */
export interface Http1Head {
  readonly method: string;
  /** As the client wrote it. */
  readonly target: string;
  /** `1.1` */
  readonly version: string;
  /** What was received after the head. */
  readonly rest: Buffer;
}

/**
 * Reads the head of the first request of an HTTP/1.1 connection. It is stricter than `node:http`, because the only
 * request that is served is CONNECT: CRLF only, no line folding, no leading empty lines, no ambiguous length.
 */
export class Http1HeadReader {
  readonly #maxBytes: number;
  #text = '';

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /**
   * @returns undefined if the head is incomplete
   * @throws TunnelError `bad_request` or `head_too_large`
   */
  push(chunk: Buffer): Http1Head | undefined {
    const before = this.#text.length;
    // A head may be longer by the chunk's last bytes, which then are not part of it.
    this.#text += chunk.toString('latin1', 0, this.#maxBytes + 1 - before);
    const end = this.#text.indexOf(headEnd, Math.max(0, before - headEnd.length));
    if (end < 0) {
      this.#checkPart(Math.max(0, before - 1));
      if (this.#text.length > this.#maxBytes) throw this.#tooLarge();
      return undefined;
    }
    const headBytes = end + headEnd.length;
    if (headBytes > this.#maxBytes) throw this.#tooLarge();
    return parseHead(this.#text.slice(0, end), chunk.subarray(headBytes - before));
  }

  /** Refuses garbage at once, without waiting for its end. */
  #checkPart(from: number): void {
    if (!methodStart.test(this.#text) || forbidden.test(this.#text.slice(from))) {
      throw badRequest('a character is not allowed there');
    }
  }

  #tooLarge(): TunnelError {
    const reason = `the request head is longer than ${this.#maxBytes} bytes`;
    return new TunnelError('head_too_large', reason);
  }
}

function parseHead(text: string, rest: Buffer): Http1Head {
  const [first = '', ...lines] = text.split('\r\n');
  const [, method, target, version] = requestLine.exec(first) ?? [];
  if (method === undefined || target === undefined || version === undefined) {
    throw badRequest('the request line is malformed');
  }
  checkFields(lines);
  return { method, target, version, rest };
}

/** @throws TunnelError if a field is malformed, or if two fields give the body two lengths (request smuggling) */
function checkFields(lines: readonly string[]): void {
  let length: string | undefined;
  let coding: string | undefined;
  for (const line of lines) {
    const [, name, value = ''] = fieldLine.exec(line) ?? [];
    if (name === undefined) throw badRequest('a header line is malformed');
    const lowerCase = name.toLowerCase();
    if (lowerCase === 'content-length') {
      if (length !== undefined || !/^[0-9]{1,15}[ \t]*$/.test(value)) {
        throw badRequest('Content-Length is invalid');
      }
      length = value;
    } else if (lowerCase === 'transfer-encoding') {
      coding = value;
      if (!/(^|[, \t])chunked[ \t]*$/i.test(value))
        throw badRequest('Transfer-Encoding is invalid');
    }
  }
  if (length !== undefined && coding !== undefined) {
    throw badRequest('Content-Length and Transfer-Encoding exclude each other');
  }
}

function badRequest(what: string): TunnelError {
  return new TunnelError('bad_request', `the request is not HTTP/1.1: ${what}`);
}
