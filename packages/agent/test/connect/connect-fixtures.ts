import { randomBytes } from 'node:crypto';
import {
  type Connect,
  ConnectError,
  connectHttp2,
  connectTls,
  connectWebSocket,
  EgressProxies,
  type EgressProxy,
} from '@fairlead/agent/internal';
import type { Transport } from '@fairlead/protocol';
import { Changes } from '@fairlead/testkit';
import type { Test } from 'tap';
import { testCertificates } from './certificates.ts';
import {
  greeting,
  type ServerOptions,
  startHttp2Server,
  startTlsServer,
  startWebSocketServer,
  type TestServer,
} from './tunnel-servers.ts';

export const timeoutMs = 60_000;
export const certificates = await testCertificates();
export const serverTls = { ...certificates.server, ca: certificates.ca, requestCert: true };
export const agentTls = { ...certificates.agent, ca: certificates.ca };

export interface Kind {
  readonly connect: Connect;
  readonly start: (t: Test, options: ServerOptions) => Promise<TestServer>;
}

export const kinds: Record<string, Kind> = {
  tls: { connect: connectTls, start: startTlsServer },
  websocket: { connect: connectWebSocket, start: startWebSocketServer },
  http2: { connect: connectHttp2, start: startHttp2Server },
};

/** Collects the bytes that a transport receives. */
class Receiver {
  byteCount = 0;
  readonly #chunks: Buffer[] = [];
  readonly #changes = new Changes();
  #closed: { error?: Error | undefined } | undefined;

  constructor(transport: Transport) {
    transport.start({
      onBytes: (chunk) => {
        this.byteCount += chunk.length;
        this.#chunks.push(chunk);
        this.#changes.notify();
      },
      onClose: (error) => {
        this.#closed = { error };
        this.#changes.notify();
      },
    });
  }

  async bytes(count: number): Promise<void> {
    await this.#changes.until(() => this.byteCount >= count, `${count} bytes`);
  }

  async closed(): Promise<Error | undefined> {
    return (await this.#changes.until(() => this.#closed, 'the end of the transport')).error;
  }

  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }
}

/** Sends a megabyte, receives its echo and ends without an error. */
export async function exchange(t: Test, transport: Transport): Promise<void> {
  t.teardown(() => transport.destroy());
  const receiver = new Receiver(transport);
  const payload = randomBytes(1 << 20);
  transport.write(payload.subarray(0, 10), () => {});
  transport.write(payload.subarray(10), () => {});
  await receiver.bytes(greeting.length + payload.length);
  const expected = Buffer.concat([Buffer.from(greeting), payload]);
  t.ok(receiver.received.equals(expected), 'greeting and echo are complete');
  transport.end();
  t.equal(await receiver.closed(), undefined, 'the transport ends without an error');
}

/** Waits for the ConnectError of the attempt. @throws Error for any other result */
export async function failure(attempt: Promise<Transport>): Promise<ConnectError> {
  const error = await attempt.then(
    () => new Error('connected'),
    (thrown: unknown) => thrown,
  );
  if (error instanceof ConnectError) return error;
  throw error;
}

/** An egress proxy. Its certificate must be signed by the test CA. */
export function proxyAt(url: string, env: NodeJS.ProcessEnv = {}): EgressProxy | undefined {
  const proxies = new EgressProxies({ url, env, tls: { ca: certificates.ca } });
  return proxies.for({ host: 'server.test', port: 443 });
}
