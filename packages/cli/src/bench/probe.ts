import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import {
  ClientDuplex,
  ClientError,
  openClientStream,
  type Route,
  toClientError,
} from '@fairlead/client';
import { type HttpTls, targetTlsOptions } from '@fairlead/client/load';
import type { BenchPlan } from './bench-plan.ts';

const retryPauseMs = 250;
const probeByte = Buffer.from('x');
const noEcho = new ClientError(
  'no_echo',
  'the target did not send a byte back; this mode needs an echo target, such as "fairlead bench-target"',
);

/**
 * Opens one stream to the target before the load, so that a wrong setup is one error instead of many
 * failures. Retries for `waitMs`.
 *
 * @throws ClientError of the last attempt
 */
export async function probeTarget(
  plan: BenchPlan,
  limits: { readonly timeoutMs: number; readonly waitMs: number; readonly signal: AbortSignal },
): Promise<void> {
  const deadlineMs = performance.now() + limits.waitMs;
  for (;;) {
    try {
      await tryOnce(plan, limits.timeoutMs);
      return;
    } catch (error) {
      if (limits.signal.aborted || performance.now() >= deadlineMs) throw error;
    }
    await delay(retryPauseMs);
  }
}

async function tryOnce({ mode, route, targetTls }: BenchPlan, timeoutMs: number): Promise<void> {
  if (targetTls) await probeTls(route, targetTls, timeoutMs);
  else await probeStream(route, mode === 'echo' || mode === 'open', timeoutMs);
}

/** @param wantsEcho whether one byte must come back */
function probeStream(route: Route, wantsEcho: boolean, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let isOpen = false;
    const timer = setTimeout(() => {
      finish(isOpen ? noEcho : new ClientError('timeout', `no answer within ${timeoutMs} ms`));
    }, timeoutMs);
    const finish = (error?: Error) => {
      clearTimeout(timer);
      if (error) reject(error);
      else resolve();
      stream.destroy();
    };
    const stream = openClientStream(route, {
      onOpen() {
        isOpen = true;
        if (wantsEcho) stream.write(probeByte);
        else finish();
      },
      onData: (chunk) => finish(wantsEcho && chunk[0] !== probeByte[0] ? noEcho : undefined),
      onDrain() {},
      onClose: (error) =>
        finish(error ?? new ClientError('stream_lost', 'the target closed the stream')),
    });
  });
}

async function probeTls(route: Route, targetTls: HttpTls, timeoutMs: number): Promise<void> {
  const duplex = new ClientDuplex(route).open();
  let streamError: Error | undefined;
  duplex.on('error', (error) => {
    streamError = error;
  });
  const socket = connectTls({ ...targetTlsOptions(route, targetTls), socket: duplex });
  const timer = setTimeout(
    () => socket.destroy(new ClientError('timeout', `no TLS handshake within ${timeoutMs} ms`)),
    timeoutMs,
  );
  try {
    await Promise.race([
      once(socket, 'secureConnect'),
      once(socket, 'close').then(() => {
        throw new ClientError('target_tls', 'the target ended the TLS handshake');
      }),
    ]);
  } catch (error) {
    if (streamError) throw streamError;
    if (error instanceof ClientError) throw error;
    const { message } = toClientError(error as Error);
    throw new ClientError('target_tls', `TLS with the target failed: ${message}`, { cause: error });
  } finally {
    clearTimeout(timer);
    socket.on('error', () => {});
    socket.destroy();
    duplex.destroy();
  }
}
