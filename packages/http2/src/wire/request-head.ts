/** Bytes that HTTP/2 counts for each field beside its text (RFC 9113 section 6.5.2). */
const FIELD_BYTES = 32;

/** RFC 9110 section 5.6.2, without upper case (RFC 9113 section 8.2.1). */
const namePattern = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const forbiddenValue = /[\0\r\n]|^[ \t]|[ \t]$/;

/** Fields of HTTP/1.1 that mean nothing in HTTP/2 (RFC 9113 section 8.2.2). */
const connectionFields = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

type PseudoField = ':method' | ':scheme' | ':authority' | ':path';
const pseudoFields = new Set<string>([':method', ':scheme', ':authority', ':path']);

/** A request's header section, valid. */
export interface RequestHead {
  readonly method: string;
  /** Undefined for CONNECT. */
  readonly path: string | undefined;
  readonly authority: string | undefined;
  /** Names in lower case, and values in latin1, in order. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** Of the request's body, if the client says so. */
  readonly contentLength: number | undefined;
  /** The first field of that name. */
  get(name: string): string | undefined;
}

/** Collects the fields of one header section and checks them (RFC 9113 sections 8.2 and 8.3). */
export class HeadBuilder implements RequestHead {
  readonly fields: (readonly [string, string])[] = [];
  contentLength: number | undefined;
  /** The fields exceed the limit. They are no longer collected. */
  isTooLarge = false;
  readonly #maxBytes: number;
  readonly #pseudo: Partial<Record<PseudoField, string>> = {};
  #bytes = 0;
  #problem: string | undefined;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get method(): string {
    return this.#pseudo[':method'] ?? '';
  }

  get path(): string | undefined {
    return this.#pseudo[':path'];
  }

  get authority(): string | undefined {
    return this.#pseudo[':authority'];
  }

  get(name: string): string | undefined {
    return this.fields.find(([found]) => found === name)?.[1];
  }

  readonly onField = (name: string, value: string): void => {
    this.#bytes += name.length + value.length + FIELD_BYTES;
    if (this.#bytes > this.#maxBytes) {
      this.isTooLarge = true;
      this.fields.length = 0;
      return;
    }
    this.#problem ??= name.startsWith(':')
      ? this.#onPseudo(name, value)
      : this.#onOther(name, value);
  };

  /** What is malformed in a request; undefined if nothing is. */
  requestProblem(): string | undefined {
    if (this.#problem !== undefined) return this.#problem;
    const { ':method': method, ':scheme': scheme, ':path': path } = this.#pseudo;
    if (!method) return 'there is no :method';
    if (method === 'CONNECT') {
      // RFC 9113 section 8.5.
      if (scheme !== undefined || path !== undefined) return 'CONNECT has no :scheme and no :path';
      return this.authority ? undefined : 'CONNECT needs :authority';
    }
    if (!scheme) return 'there is no :scheme';
    return path ? undefined : 'there is no :path';
  }

  /** What is malformed in trailers; undefined if nothing is. */
  trailersProblem(): string | undefined {
    const [pseudo] = Object.keys(this.#pseudo);
    return this.#problem ?? (pseudo === undefined ? undefined : `trailers contain ${pseudo}`);
  }

  #onPseudo(name: string, value: string): string | undefined {
    if (!pseudoFields.has(name)) return 'a pseudo field is unknown';
    if (this.fields.length > 0) return `${name} follows a field`;
    if (this.#pseudo[name as PseudoField] !== undefined) return `${name} occurs twice`;
    if (forbiddenValue.test(value)) return `the value of ${name} has a forbidden character`;
    this.#pseudo[name as PseudoField] = value;
    return undefined;
  }

  #onOther(name: string, value: string): string | undefined {
    if (!namePattern.test(name)) return 'a field name has a forbidden character';
    if (forbiddenValue.test(value)) return `the value of ${name} has a forbidden character`;
    if (connectionFields.has(name)) return `${name} does not exist in HTTP/2`;
    if (name === 'te' && value !== 'trailers') return 'te can only be trailers';
    if (name === 'content-length') {
      if (!/^[0-9]{1,15}$/.test(value)) return 'content-length is not a number';
      const previous = this.contentLength;
      this.contentLength = Number(value);
      if (previous !== undefined && previous !== this.contentLength) {
        return 'two content-length fields differ';
      }
    }
    this.fields.push([name, value]);
    return undefined;
  }
}
