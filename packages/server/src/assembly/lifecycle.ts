import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { counted, logDraining } from '@fairlead/runtime/process';
import type { createAdminSide } from './admin-side.ts';
import type { AgentSide } from './agent-side.ts';
import type { FrontEndSide } from './front-end-side.ts';
import type { ServerContext } from './server-context.ts';

/** Where a server listens. */
export interface ServerAddresses {
  readonly agent: AddressInfo;
  readonly health: AddressInfo;
  readonly admin: AddressInfo;
  /** Undefined if the front end has only a Unix domain socket. */
  readonly frontEnd: AddressInfo | undefined;
}

/** Starts, drains and closes one server, whose parts exist already. */
export function createLifecycle(
  { options, logger, worker, files }: ServerContext,
  agentSide: AgentSide,
  frontEndSide: FrontEndSide,
  admin: ReturnType<typeof createAdminSide>,
) {
  const { readiness, listener, connections, peers, leases, tokens } = agentSide;
  const { frontEnd, accessLog } = frontEndSide;
  const activeStreams = () => frontEnd.activeStreams;

  const close = async () => {
    readiness.drain();
    listener.stop();
    const withdrawn = leases?.close();
    await frontEnd.destroyAll();
    await connections.close();
    listener.destroyAll();
    await withdrawn;
    tokens?.close();
    files.close();
    await Promise.all([admin.ports.close(), accessLog?.close()]);
  };

  const drain = async () => {
    const { gracefulShutdownTimeout: timeoutMs, shutdownDelay } = options;
    const untilMs = performance.now() + timeoutMs;
    readiness.drain();
    listener.stop();
    connections.drain();
    const progress = logDraining(logger, untilMs, activeStreams);
    if (readiness.isWatched) await pause(Math.min(shutdownDelay, timeoutMs));
    // Not earlier: agents leave a server whose Lease is gone.
    void leases?.withdraw();
    const isTimeout = await timesOut(frontEnd.drain(), untilMs - performance.now());
    clearInterval(progress);
    if (isTimeout) logger.warn({ streams: activeStreams() }, 'open streams are cut');
    await close();
  };

  /** @throws UsageError, StartupError; the server is closed then */
  const open = async <T>(listen: () => Promise<T>): Promise<T> => {
    try {
      peers.read();
      const result = await listen();
      files.watch(agentSide, frontEndSide);
      leases?.start();
      return result;
    } catch (error) {
      await close();
      throw error;
    }
  };

  return {
    /** Opens all ports. @throws UsageError, StartupError */
    start: (): Promise<ServerAddresses> =>
      open(async () => ({
        ...(await admin.ports.listen()),
        agent: await listener.listen(),
        frontEnd: await frontEndSide.listen(),
      })),
    /** Opens only the worker's own agent port, if it has one. @throws UsageError, StartupError */
    startWorker: () =>
      open(async () => worker?.sockets.agent !== undefined && (await listener.listen())),
    openFrontEnd: () => frontEndSide.listen(),
    /** Serves an agent's TCP connection that the primary has accepted. */
    takeAgent: (socket: Socket) => listener.take(socket),
    drain,
    close,
    reload: () => {
      accessLog?.reopen();
      files.check();
      frontEndSide.check();
    },
    describe: () =>
      `${counted(connections.serving.length, 'agent')}, ${counted(activeStreams(), 'stream')}`,
  };
}

/** @returns true if the time was over first */
async function timesOut(work: Promise<void>, ms: number): Promise<boolean> {
  const timer = new AbortController();
  const timeUp = pause(ms, true, { signal: timer.signal });
  const isTimeout = await Promise.race([work.then(() => false), timeUp]);
  timer.abort();
  return isTimeout;
}
