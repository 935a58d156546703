import { once } from 'node:events';
import { type IncomingMessage, request as requestHttp } from 'node:http';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
import {
  CA_PATH,
  certificateReply,
  ENROLL_PATH,
  isFinalRefusal,
  MAX_REPLY_BYTES,
  RENEW_PATH,
  refusalReply,
} from '@fairlead/pki/enrollment';
import { formatTarget, type Target } from '@fairlead/protocol';
import { ConnectAttempt } from '../connect/connect-attempt.ts';
import { ConnectError, type ConnectFailure } from '../connect/connect-error.ts';
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

const portHint = '; is this the --enrollment-port of fairlead issuer?';

/** How a port that is not the issuer's can answer. */
const portFailures: readonly ConnectFailure[] = [
  'tls_unavailable',
  'protocol_mismatch',
  'reset',
  'own_certificate',
];

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
  enroll(ca: string | undefined, token: string, csr: string): Promise<string> {
    return this.#certificate(ENROLL_PATH, { token, csr }, { ...(ca !== undefined && { ca }) });
  }

  /** Renews the certificate in `tls`. @returns certificate and chain in PEM */
  renew(tls: SecureContextOptions, csr: string): Promise<string> {
    return this.#certificate(RENEW_PATH, { csr }, tls);
  }

  async #certificate(path: string, body: object, tls: SecureContextOptions): Promise<string> {
    const result = certificateReply.safeParse(jsonOf(await this.#request(path, tls, body)));
    if (!result.success) throw new IssuerError(`${this.name} sent no certificate`, false);
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
    const exchanged = ConnectAttempt.run(attemptOptions, async (attempt) => {
      const { socket, explain } = await startTls(attempt, await openSocket(attempt, endpoint), {
        endpoint,
        context: { minVersion: 'TLSv1.3', ...tls },
        protocols: ['http/1.1'],
        isUnverified: body === undefined,
      });
      attempt.begin(`waiting for the answer of ${this.name}`);
      try {
        return await exchange(socket, path, formatTarget(endpoint), body);
      } catch (error) {
        throw explain(error as Error);
      } finally {
        socket.destroy();
      }
    });
    const answer = await exchanged.catch((error) => {
      throw this.#withPortHint(error);
    });
    const issuerTimeMs = Date.parse(answer.date ?? '');
    if (!Number.isNaN(issuerTimeMs)) onClock(issuerTimeMs - Date.now());
    if (answer.status === 200) return answer.body;
    const refusal = refusalReply.safeParse(jsonOf(answer.body));
    if (!refusal.success) {
      const { status } = answer;
      throw new IssuerError(`${this.name} answered with HTTP status ${status}${portHint}`, false);
    }
    const { code, error } = refusal.data;
    const text = `${this.name} refused (${code}): ${printable(error)}`;
    throw new IssuerError(text, isFinalRefusal(code));
  }

  #withPortHint(error: unknown): unknown {
    if (!(error instanceof ConnectError) || !portFailures.includes(error.reason)) return error;
    return new ConnectError(error.reason, error.message + portHint, { cause: error });
  }

  /** For logs and errors. */
  get name(): string {
    return `the issuer at ${formatTarget(this.#options.endpoint)}`;
  }
}

/** Sends one request and reads its answer, of bounded length. The connection is then used up. */
async function exchange(socket: TLSSocket, path: string, host: string, body: object | undefined) {
  const text = body && JSON.stringify(body);
  const request = requestHttp({
    createConnection: () => socket,
    method: text === undefined ? 'GET' : 'POST',
    path,
    headers: {
      host,
      connection: 'close',
      ...(text !== undefined && {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(text),
      }),
    },
  });
  request.end(text);
  const answered = once(request, 'response');
  // The request can fail again after its answer has begun.
  request.on('error', () => {});
  const [response] = (await answered) as [IncomingMessage];
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    bytes += chunk.length;
    if (bytes > MAX_REPLY_BYTES) throw new Error('the answer is too long');
    chunks.push(chunk);
  }
  const { statusCode: status, headers } = response;
  return { status, body: Buffer.concat(chunks).toString('utf8'), date: headers.date };
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
