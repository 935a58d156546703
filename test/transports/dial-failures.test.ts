/** A dial without an answer fails at its timeout, neither earlier nor later, for each kind of client. */
import { startBlackholeTarget } from '@fairlead/testkit';
import t, { type Test } from 'tap';
import { type ClientKind, clientKinds, failureOf, open, transports } from '../e2e/service.ts';
import { startAgent, startServer, type TestServer } from '../support/fleet.ts';
import { usePacedTime } from '../support/paced-time.ts';

const timeoutMs = 500;
/** Paced time advances 10 ms for every few ticks, and a dial takes some ticks more than its timeout. */
const maxMs = 1_000;

/** Dials a target that does not answer. Checks the error, and its time. */
async function dial(
  t: Test,
  server: TestServer,
  kind: ClientKind,
  target: { readonly host: string; readonly port: number },
  code: string,
): Promise<void> {
  const startedAtMs = performance.now();
  const error = await open(t, server, kind, target).then(failureOf, (error: unknown) => error);
  const elapsedMs = performance.now() - startedAtMs;
  // gRPC carries a message instead of a code.
  const expected = kind.startsWith('gRPC') ? { message: /timeout|timed out/ } : { code };
  t.match(error, expected, kind);
  t.ok(elapsedMs >= timeoutMs && elapsedMs < maxMs, `${kind}: after ${elapsedMs} ms`);
}

for (const transport of transports) {
  t.test(`the agent's dial timeout ends a dial, ${transport}`, async (t) => {
    usePacedTime(t);
    const server = await startServer(t);
    await startAgent(t, server, { transport, dialTimeout: timeoutMs });
    await server.untilAgents(1);
    const blackhole = await startBlackholeTarget();
    t.teardown(() => blackhole.close());
    for (const kind of clientKinds) await dial(t, server, kind, blackhole, 'dial_timeout');
  });

  t.test(`the server's dial timeout ends a dial, ${transport}`, async (t) => {
    usePacedTime(t);
    const server = await startServer(t, { backendDialTimeout: timeoutMs });
    await startAgent(t, server, { transport, dialTimeout: 20_000 });
    await server.untilAgents(1);
    const blackhole = await startBlackholeTarget();
    t.teardown(() => blackhole.close());
    for (const kind of clientKinds) await dial(t, server, kind, blackhole, 'backend_dial_timeout');
  });
}
