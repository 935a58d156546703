import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import type { Duplex } from 'node:stream';
import { connectToTarget } from '../../target-connection.ts';
import type { NodeTargets } from '../network.ts';
import type { ServerPool } from '../server-pool.ts';
import { check } from './check.ts';

/** A session like kubectl exec: an HTTP upgrade, then raw bytes. */
export class EchoSession {
  readonly server: string;
  readonly #socket: Duplex;
  #received = '';

  private constructor(server: string, socket: Duplex, head: Buffer) {
    this.server = server;
    this.#socket = socket;
    this.#received = head.toString('latin1');
    socket.on('data', (chunk: Buffer) => {
      this.#received += chunk.toString('latin1');
    });
  }

  static async open(servers: ServerPool, node: NodeTargets): Promise<EchoSession> {
    const { server, value } = await servers.through((via) => connectToTarget(via, node.kubelet));
    const upgrade = request({
      method: 'POST',
      path: '/exec/default/web-0/web?command=sh&stdin=1&stdout=1',
      headers: { host: node.name, connection: 'Upgrade', upgrade: 'SPDY/3.1' },
      createConnection: () => value.socket,
    });
    upgrade.end();
    const [response, socket, head] = (await once(upgrade, 'upgrade')) as [
      IncomingMessage,
      Duplex,
      Buffer,
    ];
    check(response.statusCode === 101, `the upgrade was answered with ${response.statusCode}`);
    return new EchoSession(server, socket, head);
  }

  /** Sends a text and waits for its echo. @returns the time in milliseconds */
  async send(text: string): Promise<number> {
    const startedAt = performance.now();
    this.#received = '';
    this.#socket.write(text, 'latin1');
    while (this.#received.length < text.length) await once(this.#socket, 'data');
    check(this.#received === text, `"${text}" came back as "${this.#received}"`);
    return performance.now() - startedAt;
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** `p50 0.8 ms, p99 2.1 ms` */
export function describeTimes(timesMs: readonly number[]): string {
  const sorted = timesMs.toSorted((one, other) => one - other);
  const at = (share: number) => sorted[Math.ceil(sorted.length * share) - 1]!.toFixed(1);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, slowest ${at(1)} ms`;
}
