import { request as requestHttp } from 'node:http';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
import {
  CA_PATH,
  certificateReply,
  ENROL_PATH,
  isFinalRefusal,
  MAX_REPLY_BYTES,
  RENEW_PATH,
  refusalReply,
} from '@fairlead/pki/enrollment';
import { formatTarget, type Target } from '@fairlead/protocol';
import { ConnectAttempt } from '../connect/connect-attempt.ts';
import type { EgressProxy } from '../connect/proxy/egress-proxy.ts';
import { openSocket } from '../connect/proxy/proxy-connect.ts';
import { startTls } from '../connect/start-tls.ts';

/** The issuer did not give what it was asked for. The text is one line. */
export class IssuerError extends Error {
  /** Whether asking again is of no use. */
  readonly isFinal: boolean;

  constructor(message: string, isFinal: boolean, options?: ErrorOptions) {
    super(message, options);
    this.name = 'IssuerError';
    this.isFinal = isFinal;
  }
}

export interface IssuerClientOptions {
  readonly endpoint: Target;
  /** For one request, from the dial to the answer. */
  readonly timeoutMs: number;
  readonly proxy: EgressProxy | undefined;
  readonly signal: AbortSignal;
  /** By how much the issuer's clock is ahead of ours, as far as it told. */
  onClock(aheadMs: number): void;
}

interface Request {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: object;
  readonly tls: SecureContextOptions;
  readonly isUnverified?: boolean;
}

interface Reply {
  readonly status: number;
  readonly body: string;
}

/** Speaks to the issuer of certificates; each request has a connection of its own. */
export class IssuerClient {
  readonly #options: IssuerClientOptions;

  constructor(options: IssuerClientOptions) {
    this.#options = options;
  }

  /** What whoever answers there says the CA is. Nothing but the request leaves. */
  async fetchCa(): Promise<string> {
    const { status, body } = await this.#ask({
      method: 'GET',
      path: CA_PATH,
      tls: {},
      isUnverified: true,
    });
    if (status !== 200) throw this.#refusal(status, body);
    return body;
  }

  /**
   * Redeems a token, once the issuer is verified by `ca`.
   * @returns certificate and chain in PEM
   */
  enrol(ca: string | undefined, token: string, csr: string): Promise<string> {
    return this.#certificate(ENROL_PATH, { token, csr }, { ...(ca !== undefined && { ca }) });
  }

  /** Renews the certificate in `tls`. @returns certificate and chain in PEM */
  renew(tls: SecureContextOptions, csr: string): Promise<string> {
    return this.#certificate(RENEW_PATH, { csr }, tls);
  }

  async #certificate(path: string, body: object, tls: SecureContextOptions): Promise<string> {
    const reply = await this.#ask({ method: 'POST', path, body, tls });
    if (reply.status !== 200) throw this.#refusal(reply.status, reply.body);
    const result = certificateReply.safeParse(jsonOf(reply.body));
    if (!result.success) throw new IssuerError(`${this.#name} sent no certificate`, false);
    return result.data.certificate;
  }

  #ask({ method, path, body, tls, isUnverified = false }: Request): Promise<Reply> {
    const { endpoint, onClock, ...attemptOptions } = this.#options;
    return ConnectAttempt.run(attemptOptions, async (attempt) => {
      const { socket, explain } = await startTls(attempt, await openSocket(attempt, endpoint), {
        endpoint,
        context: { minVersion: 'TLSv1.3', ...tls },
        protocols: ['http/1.1'],
        isUnverified,
      });
      attempt.begin(`waiting for an answer of ${this.#name}`);
      const { date, ...reply } = await exchange(socket, {
        ...{ method, path, body },
        host: this.#host,
      }).catch((error: Error) => {
        throw explain(error);
      });
      socket.destroy();
      const issuerTime = Date.parse(date ?? '');
      if (!Number.isNaN(issuerTime)) onClock(issuerTime - Date.now());
      return reply;
    });
  }

  #refusal(status: number, body: string): IssuerError {
    const told = refusalReply.safeParse(jsonOf(body));
    if (!told.success) return new IssuerError(`${this.#name} answered with ${status}`, false);
    const { code, error } = told.data;
    return new IssuerError(
      `${this.#name} refused (${code}): ${printable(error)}`,
      isFinalRefusal(code),
    );
  }

  get #name(): string {
    return `the issuer at ${this.#host}`;
  }

  get #host(): string {
    return formatTarget(this.#options.endpoint);
  }
}

interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly body: object | undefined;
  readonly host: string;
}

/** One request and its answer, of bounded length, on a connection that is then of no more use. */
function exchange(
  socket: TLSSocket,
  { method, path, body, host }: Exchange,
): Promise<Reply & { readonly date: string | undefined }> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const headers = {
    host,
    connection: 'close',
    ...(text !== undefined && {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
    }),
  };
  return new Promise((resolve, reject) => {
    const request = requestHttp({ createConnection: () => socket, method, path, headers });
    request.once('error', reject);
    request.once('response', (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > MAX_REPLY_BYTES) request.destroy(new Error('the answer is too long'));
        else chunks.push(chunk);
      });
      response.once('error', reject);
      response.once('end', () => {
        const { statusCode: status = 0, headers } = response;
        resolve({ status, body: Buffer.concat(chunks).toString('utf8'), date: headers.date });
      });
    });
    request.end(text);
  });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Text of a peer's, fit for a log. */
const printable = (text: string): string => text.replace(/\p{Cc}/gu, ' ').slice(0, 500);
