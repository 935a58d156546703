import { formatTarget, type Target, type TransportKind } from '@fairlead/protocol';
import type { Connect, ConnectOptions, ServerConnection } from './connect-attempt.ts';
import { ConnectError } from './connect-error.ts';
import { connectGrpc } from './connect-grpc.ts';
import { connectHttp2 } from './connect-http2.ts';
import { connectTls } from './connect-tls.ts';
import { connectWebSocket } from './connect-websocket.ts';
import type { TunnelTlsOptions } from './server-connection.ts';

export interface TransportChoice {
  readonly kind: TransportKind;
  readonly connect: Connect<ServerConnection>;
}

/** All transports, the fastest first. */
const transports: readonly TransportChoice[] = [
  { kind: 'tls', connect: connectTls },
  { kind: 'websocket', connect: connectWebSocket },
  { kind: 'http2', connect: connectHttp2 },
  // The only one of Konnectivity's own servers.
  { kind: 'grpc', connect: connectGrpc },
];

/** The transports for a value of `--transport`; none for an unknown value. */
export function transportChoices(flag: string): readonly TransportChoice[] {
  return flag === 'auto' ? transports : transports.filter(({ kind }) => kind === flag);
}

/** How long a transport that worked is tried first. */
const MEMORY_MS = 3_600_000;

/** The same if a faster transport failed for a reason that can pass, such as a server that restarted. */
const SHORT_MEMORY_MS = 60_000;

/** Whether the failure says nothing certain about the transport: the server may have ended. */
function isTransient({ reason }: ConnectError): boolean {
  return reason === 'reset' || reason === 'handshake_timeout';
}

/** Connects by the first transport that works, and tries that one first the next time, per server. */
export class TransportSelector {
  readonly #choices: readonly TransportChoice[];
  readonly #now: () => number;
  /** The transport that worked last, by server. */
  readonly #worked = new Map<
    string,
    { readonly choice: TransportChoice; readonly untilMs: number; failuresSince: number }
  >();

  /** @param choices in order of preference, at least one */
  constructor(choices: readonly TransportChoice[], now: () => number = () => performance.now()) {
    this.#choices = choices;
    this.#now = now;
  }

  /**
   * @param options `timeoutMs` is for each transport that is tried
   * @throws ConnectError of the only transport that was tried, or of all of them in one text. A failure
   *   that every transport would share, such as a closed port or a refused certificate, ends the attempt.
   */
  async connect(
    endpoint: Target,
    tls: TunnelTlsOptions,
    options: ConnectOptions,
  ): Promise<ServerConnection> {
    const server = formatTarget(endpoint);
    const failures: { kind: TransportKind; error: ConnectError }[] = [];
    const memory = this.#worked.get(server);
    for (const choice of this.#order(server)) {
      try {
        const connection = await choice.connect(endpoint, tls, options);
        const isCertain = !failures.some(({ error }) => isTransient(error));
        const untilMs = this.#now() + (isCertain ? MEMORY_MS : SHORT_MEMORY_MS);
        this.#worked.set(server, { choice, untilMs, failuresSince: 0 });
        return connection;
      } catch (error) {
        if (!(error instanceof ConnectError) || !error.otherTransportMayWork) throw error;
        // Behind a load balancer, one server that ends is no reason to change to a slower transport.
        const workedLast = choice === memory?.choice && choice === this.#choices[0];
        if (workedLast && isTransient(error) && memory.failuresSince++ === 0) throw error;
        failures.push({ kind: choice.kind, error });
      }
    }
    const [first, ...others] = failures;
    if (first === undefined) throw new ConnectError('cancelled', `no transport to ${server}`);
    if (others.length === 0) throw first.error;
    const texts = failures.map(({ kind, error }) => `${kind}: ${error.message}`);
    const text = `no transport works to ${server}: ${texts.join('; ')}`;
    throw new ConnectError(first.error.reason, text, { cause: first.error });
  }

  #order(server: string): readonly TransportChoice[] {
    const memory = this.#worked.get(server);
    if (memory === undefined || memory.untilMs < this.#now()) return this.#choices;
    return [memory.choice, ...this.#choices.filter((choice) => choice !== memory.choice)];
  }
}
