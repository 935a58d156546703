import { randomBytes } from 'node:crypto';
import type { EventEmitter } from 'node:events';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import autocannon from 'autocannon';
import { ClientDuplex } from '../client-duplex.ts';
import { ClientError } from '../client-error.ts';
import { authorityOf } from '../route.ts';
import { targetTlsOptions } from './http-tls.ts';
import type { HttpLoadOrder, Load } from './load.ts';
import type { Meter } from './meter.ts';
import { StreamPace } from './stream-pace.ts';

/** Longer than any measurement; `stop` ends it. */
const endlessSeconds = 86_400;
const defaultTimeoutMs = 10_000;
const firstPauseMs = 50;
const longestPauseMs = 2000;
const firstErrorStatus = 400;

/** autocannon takes no shorter one as an option, but goes by what its client has. */
const shortestTimeoutOptionSeconds = 1;

/** The parts of autocannon's client that its types leave out. */
interface HttpClient extends EventEmitter {
  /** Milliseconds; read once, when `setupClient` has returned. */
  timeout: number;
  readonly conn: Duplex;
  destroy(): void;
}

/**
 * HTTP requests by autocannon through the route. autocannon connects by `net.connect` and
 * `tls.connect` and offers no other way, so in this process those two lead through the route when
 * they are called with a port and a host, as it does; for TLS the same Duplex is used for every
 * system, so that its cost is the same for all.
 *
 * Rate, latency and failures are counted here, per request: autocannon's own count leaves out
 * responses after which it reconnects, and its rate comes in a burst each second. An answer whose
 * status is 400 or more is a failure `http_STATUS`.
 *
 * @throws Error where autocannon refuses the order
 */
export function startHttp(order: HttpLoadOrder, meter: Meter): Load {
  return new HttpLoad(order, meter);
}

class HttpLoad implements Load {
  readonly running: Promise<void>;
  readonly #order: HttpLoadOrder;
  readonly #meter: Meter;
  readonly #clients = new Set<HttpClient>();
  readonly #run: { stop?: () => void };
  readonly #beganMs = performance.now();
  readonly #timeoutMs: number;
  #failuresInARow = 0;
  #stopping = false;
  #onRunning = () => {};

  constructor(order: HttpLoadOrder, meter: Meter) {
    this.#order = order;
    this.#meter = meter;
    this.running = new Promise((resolve) => {
      this.#onRunning = resolve;
    });
    leadThrough(order, () => this.#connectionDelayMs());
    const { path = '/', method = 'GET', headers = {}, bodyBytes = 0 } = order;
    const { timeoutMs = defaultTimeoutMs, streams, rampMs = 0, ratePerSecond } = order;
    const protocol = order.tls ? 'https' : 'http';
    const pauseMs = ratePerSecond === undefined ? 0 : (streams / ratePerSecond) * 1000;
    // It counts from when it hands a request over, which may then wait for its time.
    this.#timeoutMs = timeoutMs + pauseMs + rampMs;
    let refusal: Error | undefined;
    this.#run = autocannon(
      {
        url: `${protocol}://${authorityOf(order.route.target)}${path}`,
        connections: streams,
        duration: endlessSeconds,
        method: method as 'GET',
        headers: { ...headers },
        ...(bodyBytes > 0 ? { body: randomBytes(bodyBytes) } : {}),
        timeout: Math.max(shortestTimeoutOptionSeconds, this.#timeoutMs / 1000),
        ...(order.reconnect ? { reconnectRate: 1 } : {}),
        setupClient: (client) => this.#onClient(client as unknown as HttpClient),
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

  #onClient(client: HttpClient): void {
    const meter = this.#meter;
    const order = this.#order;
    const pace = new StreamPace(order, this.#clients.size);
    let sinceMs = 0;
    let isWaiting = false;
    let paced: Duplex | undefined;
    client.timeout = this.#timeoutMs;
    this.#clients.add(client);
    client.on('request', () => {
      // It connected anew instead of answering: the request before this one is lost.
      if (isWaiting) this.#fail(new ClientError('stream_lost', 'closed before the answer'));
      isWaiting = true;
      if (order.ratePerSecond === undefined) {
        sinceMs = performance.now();
      } else if (paced !== client.conn) {
        paced = client.conn;
        holdWrites(paced, pace, (atMs) => {
          sinceMs = atMs;
        });
      }
    });
    client.on('headers', ({ statusCode }: { readonly statusCode: number }) => {
      isWaiting = false;
      this.#failuresInARow = 0;
      meter.latency.recordSince(sinceMs);
      if (statusCode < firstErrorStatus) meter.operations++;
      else meter.fail(new ClientError(`http_${statusCode}`, `HTTP status ${statusCode}`));
      this.#onRunning();
    });
    client.on('body', (chunk: Buffer) => {
      meter.bytes += chunk.length;
    });
    client.on('timeout', () => {
      isWaiting = false;
      this.#fail(new ClientError('timeout', 'no answer in time'));
    });
    client.on('connError', (error: Error) => {
      isWaiting = false;
      this.#fail(error);
    });
  }

  #fail(error: Error): void {
    if (this.#stopping) return;
    this.#failuresInARow++;
    this.#meter.fail(error);
  }

  /** autocannon connects again at once, in a circle: the next one waits if others have failed. */
  #connectionDelayMs(): number {
    const { streams, rampMs = 0, isLasting } = this.#order;
    const sinceMs = performance.now() - this.#beganMs;
    const turn = this.#connections++;
    if (turn < streams) return Math.max(0, (rampMs * turn) / streams - sinceMs);
    if (!isLasting || this.#failuresInARow === 0) return 0;
    const doublings = Math.min(this.#failuresInARow / streams, 6);
    return Math.min(firstPauseMs * 2 ** doublings, longestPauseMs);
  }

  #connections = 0;
}

/** Lets each request, which is one write, wait for its time. */
function holdWrites(conn: Duplex, pace: StreamPace, onStart: (sinceMs: number) => void): void {
  const write = conn.write.bind(conn) as (chunk: Buffer) => boolean;
  conn.write = ((chunk: Buffer) => {
    pace.next((sinceMs) => {
      onStart(sinceMs);
      if (!conn.destroyed) write(chunk);
    });
    return true;
  }) as Duplex['write'];
  conn.once('close', () => pace.cancel());
}

function leadThrough({ route, tls: targetTls }: HttpLoadOrder, delayMs: () => number): void {
  const dial = () => new ClientDuplex(route, delayMs());
  const connect = net.connect;
  const connectTls = tls.connect;
  net.connect = ((...args: unknown[]) =>
    isPort(args[0]) ? dial() : Reflect.apply(connect, net, args)) as typeof net.connect;
  tls.connect = ((...args: unknown[]) =>
    isPort(args[0])
      ? Reflect.apply(connectTls, tls, [{ ...targetTlsOptions(route, targetTls), socket: dial() }])
      : Reflect.apply(connectTls, tls, args)) as typeof tls.connect;
}

const isPort = (argument: unknown): boolean =>
  typeof argument === 'number' || (typeof argument === 'string' && /^\d+$/.test(argument));
