import { connect } from 'node:net';
import { join } from 'node:path';
import { duplexPair } from 'node:stream';
import {
  DuplexTransport,
  type ErrorCode,
  relay,
  Session,
  type SessionHandler,
  TunnelError,
  type TunnelStream,
} from '@fairlead/protocol';
import { createLogger } from '@fairlead/runtime/process';
import {
  type Caller,
  type Dial,
  FrontEnd,
  type FrontEndOptions,
  type GrpcObserver,
  type StreamSummary,
} from '@fairlead/server/internal';
import {
  Changes,
  type ClientTls,
  type FrontEndAddress,
  makeTemporaryDirectory,
  sharedTestPki,
} from '@fairlead/testkit';
import { type ControlledTime, passTime as passTimeOf } from '@fairlead/testkit/controlled-time';
import type { Test } from 'tap';

/** Ignores gRPC calls. */
export const grpcObserver: GrpcObserver = {
  onPacket() {},
  onError() {},
  onCallStart() {},
  onCallEnd() {},
  onHeldUp() {},
  onWritten() {},
};

/** What the front end reported to its observer and its log. */
export interface Seen {
  readonly dials: { readonly error: TunnelError | undefined }[];
  readonly ends: StreamSummary[];
  readonly refused: ErrorCode[];
  readonly logs: { level: string; message: string; [field: string]: unknown }[];
}

export interface TestFrontEnd {
  readonly frontEnd: FrontEnd;
  readonly uds: FrontEndAddress & { readonly path: string };
  readonly tls: FrontEndAddress & { readonly port: number; readonly tls: ClientTls };
  readonly seen: Seen;
  /** Resolves with what `find` returns, now or after a later log line or event. */
  until<T>(find: (seen: Seen) => T | undefined | false): Promise<T>;
}

/** The front end's address on each kind of listener. */
export const listeners: Record<string, (started: TestFrontEnd) => FrontEndAddress> = {
  UDS: ({ uds }) => uds,
  TLS: ({ tls }) => tls,
};

/** Starts a front end on a Unix domain socket and on TCP with mTLS. Its streams come from `dial`. */
export async function startFrontEnd(
  t: Test,
  dial: Dial,
  options: Partial<FrontEndOptions> & {
    readonly handshakeTimeoutMs?: number;
    readonly grpcObserver?: GrpcObserver;
  } = {},
): Promise<TestFrontEnd> {
  const seen: Seen = { dials: [], ends: [], refused: [], logs: [] };
  const changes = new Changes();
  const note = () => changes.notify();
  const logger = createLogger('debug', {
    write(line: string) {
      const { msg, ...fields } = JSON.parse(line);
      seen.logs.push({ ...fields, message: msg });
      note();
    },
  });
  const { handshakeTimeoutMs = 60_000, grpcObserver: grpc = grpcObserver, ...rest } = options;
  const frontEnd = new FrontEnd({
    dial,
    logger,
    observer: {
      onDialStart() {},
      onDialEnd(_protocol, _durationMs, error) {
        seen.dials.push({ error });
        note();
      },
      onStreamEnd(_protocol, summary) {
        seen.ends.push(summary);
        note();
      },
      onRefused(code) {
        seen.refused.push(code);
        note();
      },
      onLimit() {},
      grpcCalls: () => grpc,
    },
    headTimeoutMs: 60_000,
    maxHeadBytes: 16_384,
    ...rest,
  });
  const [directory, pki] = await Promise.all([makeTemporaryDirectory(), sharedTestPki()]);
  t.teardown(async () => {
    await frontEnd.destroyAll();
    await directory.close();
  });
  const path = join(directory.path, 's');
  await frontEnd.listenUds({ path, checkIntervalMs: 10_000 });
  const { ca, server, client } = pki.frontend;
  const listener = await frontEnd.listenTls({
    host: '127.0.0.1',
    port: 0,
    tls: { ca, cert: server.cert, key: server.key },
    handshakeTimeoutMs,
    keepAliveMs: 0,
  });
  const { port } = listener.address;
  return {
    frontEnd,
    uds: { path },
    tls: { host: '127.0.0.1', port, tls: { ca, cert: client.cert, key: client.key } },
    seen,
    until: async <T>(find: (seen: Seen) => T | undefined | false) => {
      const { found } = await changes.until(() => {
        const found = find(seen);
        return found !== undefined && found !== false && { found };
      }, String(find));
      return found as T;
    },
  };
}

/**
 * A dial through a real pair of sessions.
 *
 * @param onOpen handles a stream at the agent's end; by default it connects to the target
 */
export async function startTunnel(t: Test, onOpen = connectTarget): Promise<Dial> {
  const [near, far] = duplexPair();
  const ready = awaitHello();
  const server = new Session(new DuplexTransport(near, 'memory'), ready.handler, {
    role: 'server',
    hello: { serverId: 'test' },
  }).start();
  const agent = new Session(
    new DuplexTransport(far, 'memory'),
    { onHello() {}, onOpen, onDraining() {}, onClose() {} },
    { role: 'agent', hello: { agentId: 'agent-1' } },
  ).start();
  t.teardown(() => {
    server.destroy(new TunnelError('shutting_down'));
    agent.destroy(new TunnelError('shutting_down'));
  });
  await ready.hello;
  return (target, _caller, handler) => {
    const stream = server.open(target, {
      onOpened: () => handler.onDialed(stream, 'agent-1'),
      onClose: (error) => handler.onFailed(error ?? new TunnelError('tunnel_lost')),
    });
    return { cancel: (error) => stream.reset(error) };
  };
}

function awaitHello(): { readonly hello: Promise<void>; readonly handler: SessionHandler } {
  let onHello = () => {};
  const hello = new Promise<void>((resolve) => {
    onHello = resolve;
  });
  return { hello, handler: { onHello, onOpen() {}, onDraining() {}, onClose() {} } };
}

/** Accepts a stream and echoes what it receives, without a target. */
export function echoStream(stream: TunnelStream): void {
  stream.attach({
    onData(chunk) {
      stream.write(chunk);
      stream.consumed(chunk.length);
    },
    onEnd: () => stream.end(),
    onDrain() {},
    onClose() {},
  });
  stream.accept();
}

function connectTarget(stream: TunnelStream): void {
  const socket = connect({ ...stream.target, allowHalfOpen: true, noDelay: true });
  const onError = (error: NodeJS.ErrnoException) => {
    const code = error.code === 'ECONNREFUSED' ? 'target_refused' : 'dial_failed';
    stream.refuse(new TunnelError(code, error.message));
  };
  socket.once('error', onError);
  socket.once('connect', () => {
    socket.off('error', onError);
    stream.accept();
    relay(socket, stream, { resetCode: 'target_reset' });
  });
}

/** Advances the time in steps of a second until the promise settles. */
export const passTime = <T>(time: ControlledTime, what: string, result: Promise<T>): Promise<T> =>
  passTimeOf(time, what, result, { stepMs: 1_000 });

/** Dials that stay pending until they are cancelled. */
export class PendingDial {
  /** The dials in the order of their start. */
  readonly started: { readonly caller: Caller; canceled: TunnelError | undefined }[] = [];
  readonly dial: Dial = (_target, caller, handler) => {
    const dial: (typeof this.started)[number] = { caller, canceled: undefined };
    this.started.push(dial);
    this.#changes.notify();
    return {
      cancel: (error) => {
        dial.canceled = error;
        handler.onFailed(error);
      },
    };
  };
  readonly #changes = new Changes();

  /** Resolves when `count` dials have started. */
  async until(count: number): Promise<void> {
    await this.#changes.until(() => this.started.length >= count, `${count} dials have started`);
  }
}

/** A dial that fails at once. */
export function failingDial(code: ErrorCode, detail?: string): Dial {
  return (_target, _caller, handler) => {
    handler.onFailed(new TunnelError(code, detail));
    return { cancel() {} };
  };
}
