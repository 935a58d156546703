import { randomBytes } from 'node:crypto';
import type { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { formatTarget } from '@fairlead/protocol';
import autocannon from 'autocannon';
import { ClientDuplex } from '../client-duplex.ts';
import { ClientError } from '../client-error.ts';
import { targetTlsOptions } from './http-tls.ts';
import type { Load, OrderOf } from './load.ts';
import type { Meter } from './meter.ts';
import { StreamPace } from './stream-pace.ts';

/** Longer than any measurement: `stop` ends it. */
const endlessSeconds = 86_400;
const defaultTimeoutMs = 10_000;
const firstPauseMs = 50;
const longestPauseMs = 2000;
const firstErrorStatus = 400;

/** autocannon's option takes no shorter timeout; its client does. */
const shortestTimeoutOptionSeconds = 1;

/**
 * autocannon's HTTP client. Its types leave out what is used here, and the underscored members are
 * its own: package.json pins the version.
 */
interface HttpClient extends EventEmitter {
  /** In ms; read after `setupClient` has returned. */
  timeout: number;
  /** Ends the connection after its time; each request starts it again. */
  readonly timeoutTicker: { reschedule(ms: number): void };
  readonly parser: { execute(chunk: Buffer): void; reinitialize(type: 'RESPONSE'): void };
  readonly destroyed: boolean;
  conn: Duplex;
  /** Sets `conn` and sends the first request. */
  _connect(): void;
  /** Destroys `conn`, forgets its request, and connects. */
  _resetConnection(): void;
  /** Writes one request to `conn`. */
  _doRequest(): void;
  destroy(): void;
}

/**
 * Sends HTTP requests through the route, with autocannon. autocannon has no option for its connections,
 * so its `setupClient` hook gives each client a `_connect` that opens a stream of the route.
 *
 * Rate, latency and failures are counted here, for each request. autocannon's own count leaves out
 * responses after which it reconnects, and it sends its rate in one burst a second. An answer whose
 * status is 400 or more is a failure `http_STATUS`.
 *
 * @throws Error if autocannon refuses the order
 */
export function startHttp(order: OrderOf<'http'>, meter: Meter): Load {
  return new HttpLoad(order, meter);
}

class HttpLoad implements Load {
  readonly running: Promise<void>;
  readonly #order: OrderOf<'http'>;
  readonly #meter: Meter;
  readonly #clients = new Set<HttpClient>();
  readonly #run: { stop?: () => void };
  readonly #beganMs = performance.now();
  #connectionCount = 0;
  #failuresInARow = 0;
  #stopping = false;
  #onRunning = () => {};

  constructor(order: OrderOf<'http'>, meter: Meter) {
    this.#order = order;
    this.#meter = meter;
    this.running = new Promise((resolve) => {
      this.#onRunning = resolve;
    });
    const { path = '/', method = 'GET', headers = {}, bodyBytes = 0 } = order;
    const { timeoutMs = defaultTimeoutMs } = order;
    const protocol = order.tls ? 'https' : 'http';
    let refusal: Error | undefined;
    this.#run = autocannon(
      {
        url: `${protocol}://${formatTarget(order.route.target)}${path}`,
        connections: order.streams,
        duration: endlessSeconds,
        method: method as 'GET',
        headers: { ...headers },
        ...(bodyBytes > 0 ? { body: randomBytes(bodyBytes) } : {}),
        timeout: Math.max(shortestTimeoutOptionSeconds, timeoutMs / 1000),
        ...(order.reconnect ? { reconnectRate: 1 } : {}),
        setupClient: (client) => this.#setUp(client as unknown as HttpClient, timeoutMs),
      },
      (error: Error | null) => {
        if (error) refusal = error;
      },
    ) as unknown as { stop?: () => void };
    if (refusal) throw refusal;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#run.stop?.();
    for (const client of this.#clients) client.destroy();
  }

  #setUp(client: HttpClient, timeoutMs: number): void {
    const { route, tls, reconnect } = this.#order;
    const pace = new StreamPace(this.#order, this.#clients.size);
    const send = client._doRequest.bind(client);
    let duplex: ClientDuplex;
    let delay: NodeJS.Timeout | undefined;
    let sinceMs = 0;
    let isAnswered = true;
    client.timeout = timeoutMs;
    this.#clients.add(client);
    // The last connection has ended by now. A request that waits for its time stays due.
    const cancel = () => {
      clearTimeout(delay);
      pace.cancel();
    };
    client.on('done', cancel);
    client._connect = () => {
      cancel();
      isAnswered = true;
      client.parser.reinitialize('RESPONSE');
      duplex = new ClientDuplex(route);
      const conn = tls ? connectTls({ ...targetTlsOptions(route, tls), socket: duplex }) : duplex;
      client.conn = conn;
      conn.on('error', (error) => {
        this.#fail(error);
        if (!client.destroyed) client._resetConnection();
      });
      conn.on('end', () => {
        if (client.destroyed) return;
        if (!isAnswered) this.#fail(new ClientError('stream_lost', 'closed before the answer'));
        client._resetConnection();
      });
      conn.on('data', (chunk: Buffer) => client.parser.execute(chunk));
      const begin = () => {
        if (!reconnect) duplex.open();
        client._doRequest();
      };
      const delayMs = this.#connectionDelayMs();
      if (delayMs === 0) begin();
      else {
        suspendTimeout(client);
        delay = setTimeout(begin, delayMs);
      }
    };
    client._doRequest = () => {
      if (pace.isPaced) suspendTimeout(client);
      pace.next((atMs) => {
        sinceMs = atMs;
        isAnswered = false;
        // The latency of a request with a connection of its own includes the opening.
        if (reconnect) duplex.open();
        send();
      });
    };
    client.on('headers', ({ statusCode }: { readonly statusCode: number }) => {
      isAnswered = true;
      this.#onAnswer(statusCode, sinceMs);
    });
    client.on('body', (chunk: Buffer) => {
      this.#meter.bytes += chunk.length;
    });
    client.on('timeout', () => this.#fail(new ClientError('timeout', 'no answer in time')));
  }

  #onAnswer(statusCode: number, sinceMs: number): void {
    this.#failuresInARow = 0;
    this.#meter.latency.recordSince(sinceMs);
    if (statusCode < firstErrorStatus) this.#meter.operations++;
    else this.#meter.fail(new ClientError(`http_${statusCode}`, `HTTP status ${statusCode}`));
    this.#onRunning();
  }

  #fail(error: Error): void {
    if (this.#stopping) return;
    this.#failuresInARow++;
    this.#meter.fail(error);
  }

  /** Spreads the first connections over the ramp. Later ones back off, because autocannon does not. */
  #connectionDelayMs(): number {
    const { streams, rampMs = 0, isLasting } = this.#order;
    const sinceMs = performance.now() - this.#beganMs;
    const index = this.#connectionCount++;
    if (index < streams) return Math.max(0, (rampMs * index) / streams - sinceMs);
    if (!isLasting || this.#failuresInARow === 0) return 0;
    const doublings = Math.min(this.#failuresInARow / streams, 6);
    return Math.min(firstPauseMs * 2 ** doublings, longestPauseMs);
  }
}

/** Until the next request is sent, no answer can be late. */
function suspendTimeout(client: HttpClient): void {
  client.timeoutTicker.reschedule(endlessSeconds * 1000);
}
