import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { z } from 'zod';
import { ApiError, toApiError } from './api-error.ts';
import { type ClusterSettings, type ClusterSource, readClusterSettings } from './kube-config.ts';
import { PluginRunner } from './plugin-credentials.ts';
import { RequestRate } from './request-rate.ts';

/** How long settings and credentials are used before the files are read again, as in client-go. */
const rereadMs = 60_000;
const requestTimeoutMs = 10_000;
/** A list of Leases has a few KiB. */
const maxAnswerBytes = 16 * 1024 * 1024;

const statusSchema = z.object({
  reason: z.string().catch(''),
  message: z.string().catch(''),
});

export interface ApiClientOptions extends ClusterSource {
  /** Undefined: no limit. */
  readonly rate?: ConstructorParameters<typeof RequestRate>[0];
  /** For the API's audit log: `fairlead-server/1.2.3`. */
  readonly userAgent: string;
  /** Called if settings or credentials cannot be read again; the previous ones stay in use. */
  onStale(error: Error): void;
}

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
}

interface Connection {
  readonly settings: ClusterSettings;
  readonly agent: HttpAgent;
  readonly authorization: string | undefined;
  readonly readAtMs: number;
}

/** Sends JSON requests to the Kubernetes API over keep-alive connections. */
export class ApiClient {
  readonly #options: ApiClientOptions;
  readonly #rate: RequestRate | undefined;
  readonly #plugins = new PluginRunner();
  #settings: ClusterSettings;
  #connection: Connection | undefined;
  #connecting: Promise<Connection> | undefined;

  /** @throws UsageError if the settings are invalid */
  constructor(options: ApiClientOptions) {
    this.#options = options;
    this.#rate = options.rate && new RequestRate(options.rate);
    this.#settings = readClusterSettings(options);
  }

  get server(): string {
    return this.#settings.server;
  }

  /**
   * Sends a request, within the rate limit, and reads its answer.
   * @throws ApiError for any status other than 2xx, and if there is no answer within 10 s
   */
  async request(request: ApiRequest): Promise<unknown> {
    if (this.#rate && !(await this.#rate.take(request.signal))) {
      throw new ApiError(
        0,
        '',
        'too many requests to the Kubernetes API are queued (--kubeconfig-qps)',
      );
    }
    const timeout = AbortSignal.timeout(requestTimeoutMs);
    const signal = request.signal ? AbortSignal.any([request.signal, timeout]) : timeout;
    try {
      const answer = await this.#send(request, signal);
      return JSON.parse(await textOf(answer)) as unknown;
    } catch (error) {
      if (timeout.aborted) throw this.#noAnswer(`no answer within ${requestTimeoutMs} ms`, error);
      throw error instanceof ApiError ? error : this.#noAnswer(toApiError(error).message, error);
    }
  }

  /**
   * Starts a watch and resolves with its answer, a stream of lines.
   * @throws ApiError as `request` does; later failures are errors of the stream
   */
  async watch(request: ApiRequest): Promise<IncomingMessage> {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), requestTimeoutMs).unref();
    const signal = request.signal ? AbortSignal.any([request.signal, late.signal]) : late.signal;
    try {
      return await this.#send(request, signal);
    } catch (error) {
      throw error instanceof ApiError ? error : this.#noAnswer(toApiError(error).message, error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Closes idle connections. */
  close(): void {
    this.#connection?.agent.destroy();
  }

  /** Sends a request, and retries once if the connection was closed or the credentials have expired. */
  async #send(request: ApiRequest, signal: AbortSignal): Promise<IncomingMessage> {
    let mayRetry = true;
    for (;;) {
      const connection = await this.#connect();
      const answer = await this.#exchange(connection, request, signal).catch((error: unknown) => {
        if (mayRetry && error instanceof StaleConnection) return undefined;
        throw error;
      });
      if (answer && isSuccess(answer)) return answer;
      if (answer && (answer.statusCode !== 401 || !mayRetry)) throw await errorOf(request, answer);
      answer?.resume();
      if (answer) this.#connection = undefined;
      mayRetry = false;
    }
  }

  #exchange(
    { settings, agent, authorization }: Connection,
    { method, path, query, body }: ApiRequest,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const url = new URL(settings.server + path);
    for (const [name, value] of Object.entries(query ?? {})) url.searchParams.set(name, value);
    const text = body === undefined ? undefined : JSON.stringify(body);
    const send = url.protocol === 'http:' ? httpRequest : httpsRequest;
    return new Promise((resolve, reject) => {
      const outgoing = send(url, {
        method,
        agent,
        signal,
        headers: {
          accept: 'application/json',
          'user-agent': this.#options.userAgent,
          ...(authorization !== undefined && { authorization }),
          ...(text !== undefined && {
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(text),
          }),
        },
      });
      outgoing.on('response', resolve);
      outgoing.on('error', (error: NodeJS.ErrnoException) => {
        const isStale = outgoing.reusedSocket && error.code === 'ECONNRESET';
        reject(isStale ? new StaleConnection(error.message, { cause: error }) : error);
      });
      outgoing.end(text);
    });
  }

  #connect(): Promise<Connection> {
    const current = this.#connection;
    if (current && performance.now() - current.readAtMs < rereadMs) {
      return Promise.resolve(current);
    }
    this.#connecting ??= this.#reread().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  async #reread(): Promise<Connection> {
    const previous = this.#connection;
    try {
      this.#settings = readClusterSettings(this.#options);
    } catch (error) {
      // A file may be in the middle of a replacement; the previous settings may still work.
      this.#options.onStale(error as Error);
    }
    const settings = this.#settings;
    const { authorization, ...certificate } = settings.plugin
      ? await this.#plugins.run(settings.plugin)
      : {};
    const tls = { ...settings.tls, ...certificate };
    const isSame = previous && JSON.stringify(tls) === JSON.stringify(previous.settings.tls);
    this.#connection = {
      settings: { ...settings, tls },
      agent: isSame ? previous.agent : newAgent(settings.server, tls),
      authorization: authorization ?? settings.authorization,
      readAtMs: performance.now(),
    };
    return this.#connection;
  }

  #noAnswer(text: string, cause: unknown): ApiError {
    const message = `the Kubernetes API at ${this.server} cannot be reached: ${oneLine(text)}`;
    return new ApiError(0, '', message, { cause });
  }
}

/** The server had already closed the keep-alive connection and did not process the request. */
class StaleConnection extends Error {}

function newAgent(server: string, tls: ClusterSettings['tls']): HttpAgent {
  const options = { keepAlive: true, keepAliveMsecs: 30_000, maxFreeSockets: 8 };
  return server.startsWith('http:')
    ? new HttpAgent(options)
    : new HttpsAgent({ ...options, ...tls });
}

const isSuccess = ({ statusCode = 0 }: IncomingMessage): boolean =>
  statusCode >= 200 && statusCode < 300;

async function errorOf({ method, path }: ApiRequest, answer: IncomingMessage): Promise<ApiError> {
  const { statusCode = 0, statusMessage = '' } = answer;
  let status: z.infer<typeof statusSchema> = { reason: '', message: '' };
  try {
    status = statusSchema.parse(JSON.parse(await textOf(answer)));
  } catch {
    // Not a Status object, for example a proxy's error page: the HTTP status must do.
  }
  const text = oneLine(status.message || statusMessage);
  return new ApiError(statusCode, status.reason, `${method} ${path}: ${statusCode} ${text}`);
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').slice(0, 256);
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxAnswerBytes) throw new Error('the answer is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
