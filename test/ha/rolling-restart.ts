import { readText, startPodTarget } from '@fairlead/testkit';
import type { Test } from 'tap';
import type { TestServer } from '../support/fleet.ts';
import { startLoad, type Target } from './load.ts';
import { openStream, untilReady } from './requests.ts';

export const agentCount = 10;

/** For clients that check readiness right before each request. */
export const timing = { shutdownDelay: 1_000, gracefulShutdownTimeout: 10_000 };

export async function startTargets(t: Test, hosts: readonly string[]): Promise<Target[]> {
  return Promise.all(
    hosts.map(async (host) => {
      const target = await startPodTarget({ host });
      t.teardown(() => target.close());
      return target;
    }),
  );
}

/**
 * Starts a stream that takes a second, during which its server can drain.
 * @returns a function that waits for the last line
 */
async function startLogs(server: TestServer, target: Target): Promise<() => Promise<string>> {
  const { socket, status } = await openStream(server, target);
  if (status !== 200) throw new Error(`status ${status}`);
  const path = '/containerLogs/default/web-0/web?lines=10&intervalMs=100';
  socket.write(`GET ${path} HTTP/1.1\r\nHost: target\r\nConnection: close\r\n\r\n`);
  const text = readText(socket).finally(() => socket.end());
  return async () =>
    (await text)
      .match(/line \d+ of 10\n/g)
      ?.at(-1)
      ?.trim() ?? (await text);
}

/** Replaces each server in turn under load, and checks that no request fails. */
export async function restartInTurn(
  t: Test,
  servers: TestServer[],
  targets: readonly Target[],
  replace: (server: TestServer, at: number) => Promise<TestServer>,
): Promise<void> {
  const load = startLoad(servers, targets);
  for (const [at, server] of [...servers.entries()]) {
    await load.ended(20);
    const lastLine = await startLogs(server, targets[at]!);
    const startedAtMs = performance.now();
    await server.server.drain();
    t.comment(`${server.id} drained within ${Math.round(performance.now() - startedAtMs)} ms`);
    t.equal(await lastLine(), 'line 10 of 10', 'the open stream is complete');
    t.equal(server.log.of('open streams are cut').length, 0);
    const successor = await replace(server, at);
    servers[at] = successor;
    await untilReady(successor);
    await load.ended(20);
  }
  const { sent, failures } = await load.stop();
  t.comment(`${sent} requests`);
  t.ok(sent > 100, `${sent} requests were sent`);
  t.strictSame(failures, []);
}
