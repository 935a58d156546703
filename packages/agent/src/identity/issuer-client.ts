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

/** The issuer did not answer a request with success. The text is one line. */
export class IssuerError extends Error {
  /** Whether a retry would fail in the same way. */
  readonly isFinal: boolean;

  constructor(message: string, isFinal: boolean, options?: ErrorOptions) {
    super(message, options);
    this.name = 'IssuerError';
    this.isFinal = isFinal;
  }
}

export interface IssuerClientOptions {
  readonly endpoint: Target;
  /** For one request, from dial to answer. */
  readonly timeoutMs: number;
  readonly proxy: EgressProxy | undefined;
  readonly signal: AbortSignal;
  /** Called if the answer has a date. @param aheadMs how far the issuer's clock is ahead of this machine's */
  onClock(aheadMs: number): void;
}

/** Sends requests to the issuer of certificates, each on a new connection. */
export class IssuerClient {
  readonly #options: IssuerClientOptions;

  constructor(options: IssuerClientOptions) {
    this.#options = options;
  }

  /** The CA's certificates in PEM, from a peer that is not verified. The request contains no secret. */
  fetchCa(): Promise<string> {
    return this.#request(CA_PATH, {}, undefined);
  }

  /**
   * Redeems a token.
   * @param ca what the issuer is verified with, before the token is sent
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
    const result = certificateReply.safeParse(jsonOf(await this.#request(path, tls, body)));
    if (!result.success) throw new IssuerError(`${this.#name} sent no certificate`, false);
    return result.data.certificate;
  }

  /**
   * POST of a body, or, without one, GET from a server that is not verified.
   * @returns the body of an answer with status 200
   */
  async #request(
    path: string,
    tls: SecureContextOptions,
    body: object | undefined,
  ): Promise<string> {
    const { endpoint, onClock, ...attemptOptions } = this.#options;
    const answer = await ConnectAttempt.run(attemptOptions, async (attempt) => {
      const { socket, explain } = await startTls(attempt, await openSocket(attempt, endpoint), {
        endpoint,
        context: { minVersion: 'TLSv1.3', ...tls },
        protocols: ['http/1.1'],
        isUnverified: body === undefined,
      });
      attempt.begin(`waiting for the answer of ${this.#name}`);
      try {
        return await exchange(socket, path, this.#host, body);
      } catch (error) {
        throw explain(error as Error);
      } finally {
        socket.destroy();
      }
    });
    const issuerTimeMs = Date.parse(answer.date ?? '');
    if (!Number.isNaN(issuerTimeMs)) onClock(issuerTimeMs - Date.now());
    if (answer.status === 200) return answer.body;
    const refusal = refusalReply.safeParse(jsonOf(answer.body));
    if (!refusal.success) {
      throw new IssuerError(`${this.#name} answered with HTTP status ${answer.status}`, false);
    }
    const { code, error } = refusal.data;
    const text = `${this.#name} refused (${code}): ${printable(error)}`;
    throw new IssuerError(text, isFinalRefusal(code));
  }

  get #name(): string {
    return `the issuer at ${this.#host}`;
  }

  get #host(): string {
    return formatTarget(this.#options.endpoint);
  }
}

/** Sends one request and reads its answer, of bounded length. The connection is then used up. */
function exchange(
  socket: TLSSocket,
  path: string,
  host: string,
  body: object | undefined,
): Promise<{
  readonly status: number;
  readonly body: string;
  readonly date: string | undefined;
}> {
  const method = body === undefined ? 'GET' : 'POST';
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

/** A peer's text, without control characters and bounded, for logs. */
const printable = (text: string): string => text.replace(/\p{Cc}/gu, ' ').slice(0, 500);
