/** The floor carries bytes in both directions, with backpressure, half-close and reset. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { systems } from '@fairlead/bench/internal';
import { openClientStream, openDuplex, type Route } from '@fairlead/client';
import {
  Changes,
  Listener,
  makeTemporaryDirectory,
  reserveRefusedPort,
  type Started,
  seededBuffer,
  seededReadable,
  seededSha256,
  sharedTestPki,
  startEarlyEndTarget,
  startEchoTarget,
  startLateAnswerTarget,
  startResetTarget,
} from '@fairlead/testkit';
import t, { type Test } from 'tap';

const manyBytes = 8 * 1024 * 1024;

/** A client's stream, and what it received. */
class Client {
  readonly #changes = new Changes();
  readonly #hash = createHash('sha256');
  readonly #stream;
  #room = true;
  receivedBytes = 0;
  isOpen = false;
  isClosed = false;
  error: Error | undefined;

  constructor(route: Route, { stalls = false } = {}) {
    const notify = () => this.#changes.notify();
    this.#stream = openClientStream(route, {
      onOpen: () => {
        this.isOpen = true;
        notify();
      },
      onData: (chunk) => {
        this.receivedBytes += chunk.length;
        this.#hash.update(chunk);
        if (stalls) this.#stream.stall();
        notify();
      },
      onDrain: () => {
        this.#room = true;
        notify();
      },
      onClose: (error) => {
        this.isClosed = true;
        this.error = error;
        notify();
      },
    });
  }

  get sha256(): string {
    return this.#hash.copy().digest('hex');
  }

  /** Waits until the check is true. Rejects if the stream closes before. */
  async until(check: () => boolean): Promise<void> {
    await this.#changes.until(() => check() || this.isClosed, String(check));
    if (!check()) throw this.error ?? new Error(`the stream closed: ${check}`);
  }

  async write(bytes: Buffer): Promise<void> {
    await this.until(() => this.isOpen && this.#room);
    this.#room = this.#stream.write(bytes);
  }

  async writeAll(seed: string, bytes: number): Promise<void> {
    for await (const chunk of seededReadable(seed, bytes)) await this.write(chunk);
  }

  async end(): Promise<void> {
    await this.until(() => this.isOpen);
    this.#stream.end();
  }

  closed(): Promise<unknown> {
    return this.#changes.until(() => this.isClosed, 'the stream closes');
  }

  destroy(): void {
    this.#stream.destroy();
  }
}

for (const name of ['floor', 'floor-grpc']) {
  t.test(name, async (t) => {
    const directory = await makeTemporaryDirectory();
    t.teardown(() => directory.close());
    const running = stopAfter(
      t,
      await systems
        .find((system) => system.name === name)!
        .start({
          targets: new Map([['echo', { host: '127.0.0.1', port: 1 }]]),
          directory: directory.path,
          pki: await sharedTestPki(),
          nodePath: process.execPath,
          nodeArgs: [],
          through: async (address) => address,
        }),
    );
    const open = (
      t: Test,
      { host, port }: { readonly host: string; readonly port: number },
      options?: { readonly stalls: boolean },
    ) => {
      const client = new Client({ ...running.route('echo'), target: { host, port } }, options);
      t.teardown(() => client.destroy());
      return client;
    };
    const echo = stopAfter(t, await startEchoTarget());
    await waitForAgent(t, () => open(t, echo));

    t.test('carries a byte each way, and closes in order', async (t) => {
      const client = open(t, echo);
      await client.write(Buffer.from('x'));
      await client.until(() => client.receivedBytes === 1);
      await client.end();
      await client.closed();
      t.equal(client.error, undefined);
      t.equal(client.receivedBytes, 1);
    });

    t.test('carries 8 MiB each way on 3 streams at once', async (t) => {
      const seeds = ['first', 'second', 'third'];
      await Promise.all(
        seeds.map(async (seed) => {
          const client = open(t, echo);
          await client.writeAll(seed, manyBytes);
          await client.until(() => client.receivedBytes === manyBytes);
          t.equal(client.sha256, seededSha256(seed, manyBytes));
          await client.end();
          await client.closed();
          t.equal(client.error, undefined);
        }),
      );
    });

    t.test('carries an answer that follows the end of the client', async (t) => {
      const target = stopAfter(t, await startLateAnswerTarget({ answerBytes: manyBytes }));
      const client = open(t, target);
      await client.writeAll('request', manyBytes);
      await client.end();
      await client.closed();
      t.equal(client.error, undefined);
      t.equal(client.receivedBytes, manyBytes);
      t.equal(client.sha256, target.sha256);
    });

    // Konnectivity's protocol has no half-close.
    if (name === 'floor') {
      t.test('carries bytes after the end of the target', async (t) => {
        const reports = new Changes();
        let sha256 = '';
        const target = stopAfter(
          t,
          await startEarlyEndTarget({
            greeting: 'hello',
            onReport: (report) => {
              sha256 = report.sha256;
              reports.notify();
            },
          }),
        );
        const route = {
          ...running.route('echo'),
          target: { host: target.host, port: target.port },
        };
        const client = await openDuplex(route, 30_000);
        t.teardown(() => client.destroy());
        client.resume();
        await once(client, 'end');
        seededReadable('late', manyBytes).pipe(client);
        await reports.until(() => sha256 !== '');
        t.equal(sha256, seededSha256('late', manyBytes));
      });
    }

    t.test('resets the client if the target resets', async (t) => {
      const target = stopAfter(t, await startResetTarget({ afterBytes: 1 }));
      const client = open(t, target);
      await client.write(Buffer.from('x'));
      await client.closed();
      // A Unix domain socket has no reset, so the client sees an end.
      t.equal(client.error !== undefined, name === 'floor-grpc');
    });

    t.test('resets the target if the client is gone', async (t) => {
      const target = stopAfter(t, await startEchoTarget());
      const client = open(t, target);
      await client.write(Buffer.from('x'));
      await client.until(() => client.receivedBytes === 1);
      const [socket] = target.sockets;
      const closed = new Promise((resolve) => socket!.once('close', resolve));
      client.destroy();
      await closed;
      t.equal(target.openConnections, 0);
    });

    t.test('refuses the client if the target refuses', async (t) => {
      const client = open(t, stopAfter(t, await reserveRefusedPort()));
      await client.closed();
      t.match(client.error, { code: name === 'floor-grpc' ? 'dial_failed' : 'status_503' });
    });

    t.test('stops a target whose client does not read, and no other stream', async (t) => {
      const answer = seededBuffer('source', manyBytes);
      const target = stopAfter(
        t,
        await Listener.start(
          createServer((socket) => {
            socket.once('data', () => {
              for (let copies = 0; copies < 12; copies++) socket.write(answer);
            });
          }),
        ),
      );
      const stalled = open(t, target, { stalls: true });
      await stalled.write(Buffer.from('x'));
      await stalled.until(() => stalled.receivedBytes > 0);
      const client = open(t, echo);
      await client.writeAll('beside', manyBytes);
      await client.until(() => client.receivedBytes === manyBytes);
      const [socket] = target.sockets;
      t.ok(socket!.writableLength > manyBytes, `${socket!.writableLength} bytes wait`);
    });
  });
}

function stopAfter<Part extends Started>(t: Test, part: Part): Part {
  t.teardown(() => part.close());
  return part;
}

/** Until the agent has connected, the server closes clients. */
async function waitForAgent(t: Test, open: () => Client): Promise<void> {
  for (let attempts = 0; attempts < 200; attempts++) {
    const client = open();
    const isOpen = await client
      .until(() => client.isOpen)
      .then(
        () => true,
        () => false,
      );
    client.destroy();
    if (isOpen) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  t.fail('no stream opened');
}
