import type { FrontEndAddress } from '@fairlead/testkit';
import { Refusal } from '../target-connection.ts';
import type { NamedServer } from './network.ts';

/** After this time, the next server is tried. The lookup of a removed name can take as long. */
const attemptTimeoutMs = 5000;
/** During this time, a failed server is tried last. */
const suspicionMs = 10_000;

/** The result, and the server that served it. */
export interface ServedBy<T> {
  readonly server: string;
  readonly value: T;
}

/** Interchangeable servers. */
export class ServerPool {
  readonly #servers: readonly NamedServer[];
  readonly #suspectedUntilMs = new Map<string, number>();

  constructor(servers: readonly NamedServer[]) {
    this.#servers = servers;
  }

  /**
   * Tries servers, starting at index `first`, until one serves. A refusal is a final answer, except 503: another
   * server can have an agent for the target.
   *
   * @throws the last server's error
   */
  async through<T>(attempt: (via: FrontEndAddress) => Promise<T>, first = 0): Promise<ServedBy<T>> {
    let lastError: unknown = new Error('there are no servers');
    for (const { name, address } of this.#inOrder(first)) {
      try {
        const value = await within(attemptTimeoutMs, name, attempt(address));
        this.#suspectedUntilMs.delete(name);
        return { server: name, value };
      } catch (error) {
        if (error instanceof Refusal && error.status !== 503) throw error;
        lastError = error;
        this.#suspectedUntilMs.set(name, performance.now() + suspicionMs);
      }
    }
    throw lastError;
  }

  #inOrder(first: number): readonly NamedServer[] {
    const start = first % this.#servers.length;
    const order = [...this.#servers.slice(start), ...this.#servers.slice(0, start)];
    const isSuspect = ({ name }: NamedServer) =>
      (this.#suspectedUntilMs.get(name) ?? 0) > performance.now();
    return [...order.filter((server) => !isSuspect(server)), ...order.filter(isSuspect)];
  }
}

async function within<T>(timeoutMs: number, name: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`${name} did not answer within ${timeoutMs / 1000} s`)),
      timeoutMs,
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
