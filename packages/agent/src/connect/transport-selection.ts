import { formatTarget, type Target, type Transport, type TransportKind } from '@fairlead/protocol';
import type { ConnectOptions, Connector, ServerConnection } from './connect-attempt.ts';
import { ConnectError } from './connect-error.ts';
import { connectGrpc } from './connect-grpc.ts';
import { connectHttp2 } from './connect-http2.ts';
import { connectTls } from './connect-tls.ts';
import { connectWebSocket } from './connect-websocket.ts';
import type { TunnelTlsOptions } from './server-connection.ts';

export interface TransportChoice<C extends ServerConnection = Transport> {
  readonly kind: TransportKind;
  readonly connect: Connector<C>;
}

/** All transports, the fastest first. */
const transports: readonly TransportChoice<ServerConnection>[] = [
  { kind: 'tls', connect: connectTls },
  { kind: 'websocket', connect: connectWebSocket },
  { kind: 'http2', connect: connectHttp2 },
  // For servers that know nothing of ours: Konnectivity's own.
  { kind: 'grpc', connect: connectGrpc },
];

/** The transports that `--transport` stands for; none for one that is not known. */
export function transportChoices(flag: string): readonly TransportChoice<ServerConnection>[] {
  return flag === 'auto' ? transports : transports.filter(({ kind }) => kind === flag);
}

/** After this time a slower transport that once worked no longer goes before the faster ones. */
const memoryMs = 3_600_000;

/** The same where the faster ones may have failed for another reason, such as a server that went away. */
const doubtfulMemoryMs = 60_000;

interface Memory<C extends ServerConnection> {
  readonly choice: TransportChoice<C>;
  readonly untilMs: number;
  /** Since it worked last. */
  failures: number;
}

/** A connection that breaks off says nothing sure about the transport: its server may have ended. */
function isDoubtful({ reason }: ConnectError): boolean {
  return reason === 'reset' || reason === 'handshake_timeout';
}

/**
 * Connects by the first transport that works, and remembers it per server: next time it is the
 * first to be tried.
 */
export class TransportSelector<C extends ServerConnection = Transport> {
  readonly #choices: readonly TransportChoice<C>[];
  readonly #now: () => number;
  readonly #worked = new Map<string, Memory<C>>();

  /** @param choices in order of preference, at least one */
  constructor(choices: readonly TransportChoice<C>[], now: () => number = () => performance.now()) {
    this.#choices = choices;
    this.#now = now;
  }

  /**
   * @param options `timeoutMs` is for each transport that is tried
   * @throws ConnectError of the one transport that was tried, or of all of them in one text. What
   *   would fail alike by every transport ends the round: an unreachable port, a refused
   *   certificate on either side.
   */
  async connect(endpoint: Target, tls: TunnelTlsOptions, options: ConnectOptions): Promise<C> {
    const server = formatTarget(endpoint);
    const failures: { kind: TransportKind; error: ConnectError }[] = [];
    const memory = this.#worked.get(server);
    for (const choice of this.#order(server)) {
      try {
        const transport = await choice.connect(endpoint, tls, options);
        const isSure = !failures.some((failure) => isDoubtful(failure.error));
        const untilMs = this.#now() + (isSure ? memoryMs : doubtfulMemoryMs);
        this.#worked.set(server, { choice, untilMs, failures: 0 });
        return transport;
      } catch (error) {
        if (!(error instanceof ConnectError) || !error.otherTransportMayWork) throw error;
        // Behind a load balancer, one server that ends is no reason to go on by a slower way.
        const workedLast =
          memory !== undefined && choice === memory.choice && choice === this.#choices[0];
        if (workedLast && isDoubtful(error) && memory.failures++ === 0) throw error;
        failures.push({ kind: choice.kind, error });
      }
    }
    throw summary(server, failures);
  }

  #order(server: string): TransportChoice<C>[] {
    const memory = this.#worked.get(server);
    if (memory === undefined || memory.untilMs < this.#now()) return [...this.#choices];
    return [memory.choice, ...this.#choices.filter((choice) => choice !== memory.choice)];
  }
}

function summary(
  server: string,
  failures: readonly { kind: TransportKind; error: ConnectError }[],
): ConnectError {
  const [first, ...others] = failures;
  if (first === undefined) return new ConnectError('cancelled', `no transport to ${server}`);
  if (others.length === 0) return first.error;
  const texts = failures.map(({ kind, error }) => `${kind}: ${error.message}`);
  return new ConnectError(
    first.error.reason,
    `no transport works to ${server}: ${texts.join('; ')}`,
    {
      cause: first.error,
    },
  );
}
